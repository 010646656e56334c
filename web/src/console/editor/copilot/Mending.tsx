/** What is wrong, what that means, and what can be done about it. */
import { useEffect, useRef, useState } from 'react'
import { explainProblem } from '../../copilot/explain.ts'
import { type Mended, mend } from '../../copilot/mend.ts'
import { useModel, useShown } from '../documents.ts'
import { useFixes } from '../Fixes.tsx'
import { whyNot } from '../fixes.ts'
import { useProblems } from '../problems.ts'
import type { Propose } from './Copilot.tsx'
import { judgeBy } from './judging.ts'
import type { Offer } from './ProposalCard.tsx'

/** Problems that are told one by one: nobody reads more at once. */
const MOST = 8

export function Mending({ propose, onOffer }: { propose: Propose; onOffer: (offer: Offer) => void }) {
  const { problems, by } = useProblems()
  const fixes = useFixes({ problems, by })
  if (problems.length === 0) return null
  return (
    <section className="copilot-part" aria-labelledby="copilot-problems">
      <h3 id="copilot-problems">Problems</h3>
      <All onOffer={onOffer} />
      <ul className="copilot-problems">
        {problems.slice(0, MOST).map((problem) => (
          <li key={`${problem.line}:${problem.column}:${problem.message}`}>
            <b>
              Line {problem.line}: {problem.message}
            </b>
            <p>{explainProblem(problem)}</p>
            <div className="copilot-chips">
              {fixes.get(problem)?.map(({ label, make }) => (
                <button
                  key={label}
                  type="button"
                  aria-label={`Show: ${label}`}
                  onClick={() => propose({ title: label, why: problem.message, make })}
                >
                  {label}
                </button>
              ))}
            </div>
            {fixes.get(problem)?.length === 0 && <p>{whyNot(problem)}</p>}
          </li>
        ))}
      </ul>
      {problems.length > MOST && <p>{problems.length - MOST} more are in the list of problems.</p>}
    </section>
  )
}

/** All that leaves no choice, as one change. */
function All({ onOffer }: { onOffer: (offer: Offer) => void }) {
  const model = useModel()
  const { text } = useShown()
  const { problems, by } = useProblems()
  const over = useRef(new AbortController())
  const [said, setSaid] = useState('')
  useEffect(() => {
    const own = new AbortController()
    over.current = own
    return () => own.abort()
  }, [])
  const run = async () => {
    setSaid('Each fix is tried…')
    const { signal } = over.current
    const mended = await mend(model, problems, judgeBy(by, signal))
    if (mended) offer(mended)
    else if (!signal.aborted) setSaid('The host has stopped answering.')
  }
  const offer = ({ text: to, steps, left }: Mended) => {
    setSaid(steps.length === 0 ? 'Each of them is a choice: see below.' : '')
    if (steps.length === 0) return
    onOffer({
      title: `Mend ${steps.length} of ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`,
      why: steps.map(({ problem, fix }) => `${fix}: ${problem.message}`).join('\n'),
      left: left.length > 0 ? [`${left.length} ${left.length === 1 ? 'problem is' : 'problems are'} left to you.`] : [],
      from: text,
      to,
    })
  }
  return (
    <>
      <button type="button" className="copilot-main" onClick={() => void run()}>
        Mend what leaves no choice
      </button>
      <p role="status">{said}</p>
    </>
  )
}
