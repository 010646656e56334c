/** The same sentence for the model of the process, where the process has one: asked only when somebody says so. */
import { useEffect, useRef, useState } from 'react'
import { ROLES, useProcess } from '../../operator/process'
import { useEditor, useModel, useShown } from '../documents.ts'
import { useHost, useProblems } from '../problems.ts'
import { selectedPath } from '../selection.ts'
import { type Asked, ask } from './asking.ts'
import { judgeBy } from './judging.ts'
import type { Offer } from './ProposalCard.tsx'

interface Props {
  question: string
  onOffer: (offer: Offer) => void
}

/** Nothing where no process answers: nobody is asked whether there is one over and over. */
export function ModelAsk(props: Props) {
  const host = useHost()
  return host === 'away' ? null : <WithProcess {...props} />
}

function WithProcess(props: Props) {
  const { process } = useProcess()
  if (!process?.copilot) return null
  if (!process.may.includes('consult'))
    return (
      <p className="copilot-by">
        To ask {process.copilot} takes the role {ROLES.consult}.
      </p>
    )
  return <WithModel {...props} name={process.copilot} />
}

function WithModel({ question, onOffer, name }: Props & { name: string }) {
  const { text } = useShown()
  const model = useModel()
  const selection = useEditor((state) => state.selection)
  const { problems, by } = useProblems()
  const over = useRef<AbortController | null>(null)
  const [said, setSaid] = useState<{ text: string; words: string; isBad: boolean } | null>(null)
  const [asking, setAsking] = useState<string | null>(null)
  useEffect(() => () => over.current?.abort(), [])

  const run = async () => {
    const own = new AbortController()
    over.current = own
    setSaid(null)
    setAsking(`${name} is asked…`)
    const selected = selectedPath(model, selection)
    const answer = await ask({
      question,
      text,
      selected,
      problems,
      judge: judgeBy(by, own.signal),
      over: own.signal,
      onAgain: ([first]) => setAsking(`${name} is asked again, since what it proposed is wrong. ${first}`),
    })
    setAsking(null)
    if (answer.kind === 'offer') onOffer(answer.offer)
    else if (answer.kind !== 'stopped') setSaid({ text, ...wordsOf(answer, name) })
  }
  return (
    <div className="copilot-model">
      {asking === null ? (
        <button type="button" className="copilot-more" disabled={question.trim() === ''} onClick={() => void run()}>
          Ask {name}
        </button>
      ) : (
        <button type="button" className="copilot-more" onClick={() => over.current?.abort()}>
          Stop
        </button>
      )}
      <p className="copilot-by">
        It is told the sentence and the config, without secrets, comments, e-mail addresses and the values of variables.
      </p>
      <div role="status">
        {asking !== null && <p>{asking}</p>}
        {said?.text === text && <p className={said.isBad ? 'copilot-refusal' : 'copilot-verdict'}>{said.words}</p>}
      </div>
    </div>
  )
}

function wordsOf(
  answer: Exclude<Asked, { kind: 'offer' | 'stopped' }>,
  name: string,
): { words: string; isBad: boolean } {
  if (answer.kind === 'said') return { words: `${name} says: ${answer.words}`, isBad: false }
  return { words: answer.message, isBad: true }
}
