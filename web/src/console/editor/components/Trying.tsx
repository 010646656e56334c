/** One job for a component that the config does not have yet. */
import { useState } from 'react'
import { useAction } from '../../../shared/answers'
import { explain } from '../../../shared/api/errors'
import { FormError, TextField } from '../../../shared/ui/Field'
import * as api from '../../operator/api'
import { Outcome, parsed } from '../../operator/ui/TrialDialog'

/** What the templates look at. */
const DATA = '{"total": 250}'

export function Trying({ name, digest }: { name: string; digest: string }) {
  const [data, setData] = useState(DATA)
  const [result, setResult] = useState<api.TrialResult>()
  const trial = useAction(() => api.tryOut(name, { digest, data: parsed(data) }), { onSuccess: setResult })
  return (
    <form
      className="form"
      aria-label="Try it"
      onSubmit={(event) => {
        event.preventDefault()
        setResult(undefined)
        trial.run()
      }}
    >
      <TextField
        label="Data of a job"
        rows={2}
        value={data}
        spellCheck={false}
        hint="It works on this in a sandbox of its own, with nothing granted. Nothing is kept of it."
        onChange={({ currentTarget }) => setData(currentTarget.value)}
      />
      {trial.error !== undefined && <FormError>{explain(trial.error)}</FormError>}
      <div role="status">{result && <Outcome result={result} />}</div>
      <div className="actions">
        <button type="submit" className="button button-quiet" aria-disabled={trial.isPending}>
          {trial.isPending ? 'It works…' : 'Try it'}
        </button>
      </div>
    </form>
  )
}
