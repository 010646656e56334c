/** The last step of a new component: its file where the config can name it, and its module in the config that is shown. */
import { useState } from 'react'
import { useAction } from '../../../shared/answers'
import { ApiError, explain } from '../../../shared/api/errors'
import { FormError, TextField } from '../../../shared/ui/Field'
import { outcomeOf } from '../../copilot/proposal.ts'
import * as api from '../../operator/api'
import { model, perform, say, select, UNDO, useShown } from '../documents.ts'
import { type Built, type Purpose, putIn } from './newComponent.ts'

interface Props {
  name: string
  built: api.NewComponent
  purpose: Purpose
  onDone: () => void
}

export function PutIn({ name, built, purpose, onDone }: Props) {
  // Another text has other places for it.
  useShown()
  const [reason, setReason] = useState('')
  const { digest, source, summary } = built
  const own: Built = { name, source, expect: built.name, summary }
  const make = (now: ReturnType<typeof model>) => putIn(now, own, purpose)
  const outcome = outcomeOf(model(), { make })
  const refusal = 'refusal' in outcome ? outcome.refusal : whyNot(purpose)
  const putting = useAction(
    async () => {
      if (refusal) throw new ApiError('invalid', refusal)
      return api.place(name, { digest, reason: reason.trim() })
    },
    {
      onSuccess: () => {
        if (!perform(make, { quiet: true })) return
        select({ modules: [name] })
        say('done', `${name} is in the config. Save it, and the process runs it.`, UNDO)
        onDone()
      },
    },
  )
  return (
    <form
      className="form"
      aria-label="Put it into the config"
      onSubmit={(event) => {
        event.preventDefault()
        putting.run()
      }}
    >
      <TextField
        label="Reason"
        rows={2}
        required
        maxLength={500}
        value={reason}
        hint="It is kept in the audit log with your name."
        onChange={({ currentTarget }) => setReason(currentTarget.value)}
      />
      <p className="create-note">
        The file is put at <code>{source}</code>, and the config that is shown gets {WRITTEN[purpose.kind]}. The process
        runs it once that config is saved.
      </p>
      {refusal && <p className="create-refusal">{refusal}</p>}
      {putting.error !== undefined && <FormError>{explain(putting.error)}</FormError>}
      <div className="actions">
        <button type="submit" className="button" aria-disabled={putting.isPending || refusal !== null}>
          {putting.isPending ? 'One moment…' : 'Put it into the config'}
        </button>
      </div>
    </form>
  )
}

const WRITTEN: Readonly<Record<Purpose['kind'], string>> = {
  step: 'its module, a step, the hook that starts it, and the transitions of its answers',
  handler: 'its module, a handler, and what that hears of',
  module: 'its module',
}

function whyNot(purpose: Purpose): string | null {
  return purpose.kind === 'handler' && purpose.topic === '' ? 'Say which topic it is to hear of.' : null
}
