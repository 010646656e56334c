/** One job for a version, with nothing granted: what it would answer. Nothing is kept of it. */
import { useState } from 'react'
import { useAction } from '../../../shared/answers'
import { ApiError, explain } from '../../../shared/api/errors'
import { Badge } from '../../../shared/desk/ui/Badge'
import { Dialog } from '../../../shared/desk/ui/Dialog'
import { Facts } from '../../../shared/desk/ui/Panel'
import { Field, FormError, TextField } from '../../../shared/ui/Field'
import * as api from '../api'
import { command } from '../command'
import { short, took } from '../words'
import { CommandLine } from './CommandLine'

interface Props {
  name: string
  version: api.Version
  onClose: () => void
}

export function TrialDialog({ name, version, onClose }: Props) {
  const { digest } = version
  const [kind, setKind] = useState('orders')
  const [id, setId] = useState('')
  const [data, setData] = useState('')
  const [result, setResult] = useState<api.TrialResult>()
  const trial = useAction(
    () => api.tryOut(name, { digest, ...(id ? { instance: { kind, id } } : { data: parsed(data) }) }),
    { onSuccess: setResult },
  )
  const of = id ? ['--instance', kind, id] : ['--data', data || '{}']
  return (
    <Dialog title={`Try ${version.version} (${short(digest)})`} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          setResult(undefined)
          trial.run()
        }}
      >
        <p>It does one job in a sandbox of its own, with nothing granted. Private fields are hidden from it.</p>
        <Field label="Kind" value={kind} onChange={(event) => setKind(event.currentTarget.value.trim())} />
        <Field
          label="Id of an instance whose data it works on"
          value={id}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => setId(event.currentTarget.value.trim())}
        />
        <TextField
          label="Or the data itself"
          rows={4}
          value={data}
          spellCheck={false}
          disabled={id !== ''}
          hint="A JSON object."
          onChange={(event) => setData(event.currentTarget.value)}
        />
        <CommandLine label="In a terminal" command={command('components', 'trial', name, '--digest', digest, ...of)} />
        {trial.error !== undefined && <FormError>{explain(trial.error)}</FormError>}
        <div role="status">{result && <Outcome result={result} />}</div>
        <div className="actions">
          <button type="button" className="button button-quiet" onClick={onClose}>
            Close
          </button>
          <button type="submit" className="button" aria-disabled={trial.isPending}>
            {trial.isPending ? 'It works…' : 'Try it'}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** What a trial came to. */
export function Outcome({ result: { outcome, reason, code, results, seconds, limit } }: { result: api.TrialResult }) {
  return (
    <Facts
      facts={[
        [
          'Outcome',
          <Badge key="outcome" mood={outcome === 'accepted' ? 'good' : 'warn'}>
            {outcome}
          </Badge>,
        ],
        ['Why', [reason, code].filter(Boolean).join(', ')],
        ['Ended by', limit],
        ['Would add', Object.keys(results).length > 0 && <code key="adds">{JSON.stringify(results)}</code>],
        ['Took', took(seconds)],
      ]}
    />
  )
}

/** A JSON object that somebody has written; nothing is an empty one. */
export function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text || '{}')
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new ApiError('invalid', 'The data is no JSON object.')
}
