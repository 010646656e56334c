/** What should be added or changed, in a sentence. */
import { type FormEvent, type KeyboardEvent, useRef, useState } from 'react'
import { CHIPS, EXAMPLES, understood } from '../../copilot/intents.ts'
import { useModel } from '../documents.ts'
import type { Propose } from './Copilot.tsx'
import { ModelAsk } from './ModelAsk.tsx'
import type { Offer } from './ProposalCard.tsx'

export function Ask({ propose, onOffer }: { propose: Propose; onOffer: (offer: Offer) => void }) {
  const model = useModel()
  const field = useRef<HTMLTextAreaElement>(null)
  const [words, setWords] = useState('')
  const [answer, setAnswer] = useState<{ kind: 'refused'; message: string } | { kind: 'unknown' } | null>(null)
  const ask = (sentence: string) => {
    const found = understood(sentence, model)
    if (found.kind !== 'proposal') {
      setAnswer(found)
      return
    }
    const refusal = propose(found.proposal)
    setAnswer(refusal === null ? null : { kind: 'refused', message: refusal })
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (words.trim() !== '') ask(words)
  }
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event)
  }
  const take = (sentence: string) => {
    setWords(sentence)
    setAnswer(null)
    field.current?.focus()
  }
  return (
    <form className="copilot-ask" onSubmit={submit}>
      <label>
        <span>What should be added or changed?</span>
        <textarea
          ref={field}
          rows={3}
          value={words}
          placeholder="Add a fraud check between validated and paying"
          onChange={({ target }) => setWords(target.value)}
          onKeyDown={press}
        />
      </label>
      <button type="submit" className="copilot-main" disabled={words.trim() === ''}>
        Generate Workflow
      </button>
      <ModelAsk question={words} onOffer={onOffer} />
      <ul className="copilot-chips" aria-label="To begin with">
        {CHIPS.map((chip) => (
          <li key={chip}>
            <button type="button" onClick={() => take(chip)}>
              {chip}
            </button>
          </li>
        ))}
      </ul>
      <div role="status">
        {answer?.kind === 'refused' && <p className="copilot-refusal">{answer.message}</p>}
        {answer?.kind === 'unknown' && (
          <>
            <p className="copilot-refusal">No rule knows what that means. These do, with names of your own:</p>
            <ul className="copilot-examples">
              {EXAMPLES.map((example) => (
                <li key={example}>
                  <button type="button" className="text-button" onClick={() => take(example)}>
                    {example}
                  </button>
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
    </form>
  )
}
