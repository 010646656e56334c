/** A change before it is made: why, what of the text, and what the checker says of it. */
import { useEffect, useRef, useState } from 'react'
import { difference } from '../../edits.ts'
import { Difference } from '../../operator/ui/Difference'
import { perform, say, UNDO } from '../documents.ts'
import type { Problem } from '../judge.ts'
import { useProblems } from '../problems.ts'
import { added, judgeBy } from './judging.ts'

/** A change that is asked about. */
export interface Offer {
  title: string
  why: string
  /** What is left to do for a person. */
  left: readonly string[]
  from: string
  to: string
  /** The model that proposes it, where one does. */
  by?: string
  /** What of it deserves a second look. */
  look?: readonly { pointer: string; why: string }[]
  /** Told once it is applied. */
  onApply?: () => void
}

type Verdict = { kind: 'asking' } | { kind: 'judged'; brings: Problem[]; takes: number } | { kind: 'unknown' }

export function ProposalCard({ offer, onDone }: { offer: Offer; onDone: () => void }) {
  const { title, why, left, from, to, by, look = [], onApply } = offer
  const heading = useRef<HTMLHeadingElement>(null)
  const verdict = useVerdict(to)
  useEffect(() => heading.current?.focus(), [])
  const apply = () => {
    // Nothing else has happened to the text, or this would not be shown.
    if (perform(() => ({ label: title, edits: difference(from, to) }), { quiet: true })) {
      say('done', title, UNDO)
      onApply?.()
    }
    onDone()
  }
  const isBad = verdict.kind === 'judged' && verdict.brings.length > 0
  return (
    <section className="copilot-part copilot-proposal" aria-labelledby="copilot-proposal">
      <h3 id="copilot-proposal" ref={heading} tabIndex={-1}>
        {title}
      </h3>
      {by && <p className="copilot-by">Proposed by {by}; nothing is changed before you have agreed.</p>}
      <p className="copilot-why">{why}</p>
      <Difference label="What changes" from={from} to={to} />
      <div role="status" className="copilot-verdict" data-bad={isBad || undefined}>
        <Words verdict={verdict} />
      </div>
      {look.length > 0 && (
        <div className="copilot-look">
          <b>Look twice:</b>
          <ul>
            {look.map(({ pointer, why }) => (
              <li key={`${pointer} ${why}`}>
                <code>{pointer}</code>: {why}
              </li>
            ))}
          </ul>
        </div>
      )}
      {left.map((one) => (
        <p key={one}>{one}</p>
      ))}
      <div className="copilot-answers">
        <button type="button" className="copilot-main" onClick={apply} disabled={verdict.kind === 'asking'}>
          {isBad ? 'Apply all the same' : 'Apply'}
        </button>
        <button type="button" className="copilot-more" onClick={onDone}>
          Discard
        </button>
      </div>
    </section>
  )
}

function Words({ verdict }: { verdict: Verdict }) {
  if (verdict.kind === 'asking') return <p>It is being checked…</p>
  if (verdict.kind === 'unknown') return <p>It could not be checked: nobody answers now.</p>
  const { brings, takes } = verdict
  if (brings.length === 0) {
    const taken = `It takes ${takes} ${takes === 1 ? 'problem' : 'problems'} away and brings none.`
    return <p>{takes > 0 ? taken : 'It was checked and brings no problem.'}</p>
  }
  return (
    <>
      <p>It brings what is not there yet:</p>
      <ul>
        {brings.map(({ line, column, message, help }) => (
          <li key={`${line}:${column}:${message}`}>
            Line {line}: {message} {help}
          </li>
        ))}
      </ul>
    </>
  )
}

/** What is said of the text that would be there. */
function useVerdict(to: string): Verdict {
  const { problems, by } = useProblems()
  const [verdict, setVerdict] = useState<Verdict>({ kind: 'asking' })
  useEffect(() => {
    const over = new AbortController()
    const ask = async () => {
      const after = await judgeBy(by, over.signal)(to)
      if (over.signal.aborted) return
      if (after === null) setVerdict({ kind: 'unknown' })
      else setVerdict({ kind: 'judged', brings: added(problems, after), takes: added(after, problems).length })
    }
    void ask()
    return () => over.abort()
  }, [to, by, problems])
  return verdict
}
