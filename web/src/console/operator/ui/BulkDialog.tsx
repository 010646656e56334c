/** The same deed for all that a filter finds: first how many there are, then why, then what it came to. */
import { useEffect, useRef, useState } from 'react'
import { useAction } from '../../../shared/answers'
import { explain } from '../../../shared/api/errors'
import { Dialog } from '../../../shared/desk/ui/Dialog'
import { FormError, SelectField, TextField } from '../../../shared/ui/Field'
import * as api from '../api'
import { command, options, WHY } from '../command'
import { CommandLine } from './CommandLine'

/** What may be done with many, and what that means. */
const DEEDS = {
  retry: 'What waits is due at once, and what was set aside gets another chance.',
  hold: 'Nothing begins and no timer fires until they are released. What is under way still lands.',
  release: 'They go on from where they were held.',
  cancel: 'Each is cancelled, as its kind means that.',
} as const
type Many = keyof typeof DEEDS

/** Names of what a filter finds, before the others are only counted. */
const SHOWN = 5

interface Props {
  filters: api.Filters
  onDone: () => void
  onClose: () => void
}

export function BulkDialog({ filters, onDone, onClose }: Props) {
  const [action, setAction] = useState<Many>('retry')
  const [reason, setReason] = useState('')
  const [found, setFound] = useState<api.BulkResult>()
  // One key for what is asked: whoever asks again because no answer came does not act twice.
  const key = useRef(api.newKey())
  const filter = api.filterOf(filters)
  const looking = useAction(api.preview, { onSuccess: setFound })
  const [result, setResult] = useState<api.BulkResult>()
  const acting = useAction(api.actOnAll, {
    onSuccess: (came) => {
      setResult(came)
      onDone()
    },
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is looked once; what fits does not depend on the deed
  useEffect(() => {
    looking.run(action, filter)
  }, [])
  const renew = () => {
    key.current = api.newKey()
  }
  if (result) return <Result result={result} onClose={onClose} />
  const words = ['instances', 'bulk', action, ...options(filters), '--reason', reason || WHY, '--yes']
  return (
    <Dialog title="Act on all that fit" onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          if (found) acting.run(key.current, { action, filter, reason, expected: found.count })
        }}
      >
        <Found found={found} error={looking.error} />
        <SelectField
          label="What to do"
          value={action}
          onChange={(event) => {
            setAction(event.currentTarget.value as Many)
            renew()
          }}
          hint={DEEDS[action]}
        >
          {Object.keys(DEEDS).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </SelectField>
        <TextField
          label="Reason"
          rows={2}
          required
          maxLength={500}
          hint="It is kept in the audit log with your name."
          onChange={(event) => {
            setReason(event.currentTarget.value.trim())
            renew()
          }}
        />
        <CommandLine
          label="In a terminal"
          command={command(...words, ...(found ? ['--expected', String(found.count)] : []))}
        />
        {acting.error !== undefined && <FormError>{explain(acting.error)}</FormError>}
        <div className="actions">
          <button type="button" className="button button-quiet" onClick={onClose}>
            Close
          </button>
          <button
            type="submit"
            className="button"
            disabled={!found || found.count === 0}
            aria-disabled={acting.isPending}
          >
            {acting.isPending ? 'One moment…' : found ? `${sentence(action)} ${found.count}` : sentence(action)}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function Found({ found, error }: { found: api.BulkResult | undefined; error: unknown }) {
  if (error !== undefined) return <FormError>{explain(error)}</FormError>
  if (!found) return <p role="status">They are being counted…</p>
  const rest = found.count - Math.min(found.first.length, SHOWN)
  return (
    <div role="status">
      <p>
        <b>{found.more ? `${found.count} of more` : found.count}</b>{' '}
        {found.count === 1 ? 'instance fits' : 'instances fit'}
        {found.count > 0 ? ':' : '.'}
      </p>
      <ul>
        {found.first.slice(0, SHOWN).map((name) => (
          <li key={name}>
            <code>{name}</code>
          </li>
        ))}
        {rest > 0 && <li>and {rest} more</li>}
      </ul>
      {found.more && <p>The rest is left alone; ask again for them.</p>}
    </div>
  )
}

function Result({ result, onClose }: { result: api.BulkResult; onClose: () => void }) {
  const { done, failed, replayed } = result
  return (
    <Dialog title={`Done for ${done}`} onClose={onClose}>
      {replayed && <p>It was done before; nothing was done again.</p>}
      {failed.length > 0 && (
        <>
          <p>For {failed.length} it could not be done:</p>
          <ul className="lines">
            {failed.map(({ kind, id, detail }) => (
              <li key={`${kind}/${id}`}>
                <code>{id}</code>
                <span>{detail}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  )
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}
