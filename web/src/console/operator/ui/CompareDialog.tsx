/** What another version would have answered: the same jobs on both, with nothing granted. Nothing is kept of it. */
import './CompareDialog.css'
import { useState } from 'react'
import { useAction } from '../../../shared/answers'
import { explain } from '../../../shared/api/errors'
import { Dialog } from '../../../shared/desk/ui/Dialog'
import { Link } from '../../../shared/router'
import { Field, FormError } from '../../../shared/ui/Field'
import * as api from '../api'
import { command } from '../command'
import { short } from '../words'
import { CommandLine } from './CommandLine'

/** What the process does if nothing is said, and the most that it does. */
const USUAL = 20
const MOST = 50

interface Props {
  name: string
  version: api.Version
  onClose: () => void
}

export function CompareDialog({ name, version, onClose }: Props) {
  const { digest } = version
  const [limit, setLimit] = useState(String(USUAL))
  const [step, setStep] = useState('')
  const [result, setResult] = useState<api.Comparison>()
  const comparing = useAction(
    () => api.compare(name, { digest, limit: Number(limit) || USUAL, ...(step && { step }) }),
    { onSuccess: setResult },
  )
  const said = [...(Number(limit) === USUAL ? [] : ['--limit', limit]), ...(step ? ['--step', step] : [])]
  return (
    <Dialog title={`Compare ${version.version} (${short(digest)})`} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          setResult(undefined)
          comparing.run()
        }}
      >
        <p>
          The version that serves and this one do the same jobs, those of the newest instances, each in a sandbox of its
          own with nothing granted. Private fields are hidden from both.
        </p>
        <Field
          label="Jobs"
          type="number"
          min={1}
          max={MOST}
          required
          value={limit}
          onChange={(event) => setLimit(event.currentTarget.value)}
        />
        <Field
          label="Step"
          value={step}
          spellCheck={false}
          autoComplete="off"
          hint="Whose jobs these are; left empty, the first that runs the component in each workflow."
          onChange={(event) => setStep(event.currentTarget.value.trim())}
        />
        <CommandLine label="In a terminal" command={command('components', 'compare', name, digest, ...said)} />
        {comparing.error !== undefined && <FormError>{explain(comparing.error)}</FormError>}
        <div role="status">{result && <Outcome result={result} />}</div>
        <div className="actions">
          <button type="button" className="button button-quiet" onClick={onClose}>
            Close
          </button>
          <button type="submit" className="button" aria-disabled={comparing.isPending}>
            {comparing.isPending ? 'Both work…' : 'Compare them'}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function Outcome({ result: { compared, alike, leftOut, jobs } }: { result: api.Comparison }) {
  const different = jobs.filter(({ differences }) => differences.length > 0)
  if (compared === 0) return <p>No instance has a job that the version that serves has done.</p>
  return (
    <>
      <p>
        <b>
          {alike} of {compared}
        </b>{' '}
        jobs were answered alike.
        {leftOut > 0 && ` For ${leftOut} more the time did not suffice.`}
      </p>
      {different.length > 0 && (
        <ul className="lines compared">
          {different.map(({ instance: { kind, id }, step, differences }) => (
            <li key={`${kind}/${id}`}>
              <p>
                <Link to={`/instances/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`}>{id}</Link>, {step}
              </p>
              <dl>
                {differences.map(({ at, serving, candidate }) => (
                  <div key={at}>
                    <dt>{at}</dt>
                    <dd>
                      <del>{written(serving)}</del> <ins>{written(candidate)}</ins>
                    </dd>
                  </div>
                ))}
              </dl>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function written(value: unknown): string {
  return value === null || value === undefined ? 'nothing' : JSON.stringify(value)
}
