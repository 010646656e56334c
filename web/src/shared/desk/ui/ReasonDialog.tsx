/** Before a deed whose reason is kept: what will happen, and why. */
import { type ReactNode, useEffect, useRef } from 'react'
import { useAction } from '../../answers'
import { ApiError, explain } from '../../api/errors'
import { FormError, TextField, useFocusOnError } from '../../ui/Field'
import * as session from '../session'
import { Dialog } from './Dialog'

interface Props {
  title: string
  /** What will happen. */
  children?: ReactNode
  /** What the button says. */
  action: string
  /** Hears what is typed. */
  onReason?: (reason: string) => void
  perform: (reason: string, data: FormData) => Promise<unknown>
  onDone: () => void
  onClose: () => void
}

/** A reason that was typed and not used, because Escape was pressed for example: the same question has it again. */
let unused: { question: string; reason: string } | undefined

export function ReasonDialog({ title, children, action, onReason, perform, onDone, onClose }: Props) {
  const form = useRef<HTMLFormElement>(null)
  // Of one person, on one page.
  const question = [session.useSession()?.user.id, location.hash, title].join(' ')
  const known = unused?.question === question ? unused.reason : ''
  const deed = useAction(perform, {
    onSuccess: () => {
      unused = undefined
      onDone()
    },
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is there at first is told once
  useEffect(() => {
    if (known) onReason?.(known)
  }, [])
  useFocusOnError(form, deed.error)
  const wrong = deed.error instanceof ApiError ? deed.error.fields.reason : undefined
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        ref={form}
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          const data = new FormData(event.currentTarget)
          deed.run(String(data.get('reason')).trim(), data)
        }}
      >
        {children}
        <TextField
          label="Reason"
          name="reason"
          rows={3}
          required
          maxLength={500}
          hint="It is kept in the audit log with your name."
          error={wrong}
          defaultValue={known}
          onChange={(event) => {
            const reason = event.currentTarget.value
            unused = { question, reason }
            onReason?.(reason.trim())
          }}
        />
        {deed.error !== undefined && !wrong && <FormError>{explain(deed.error)}</FormError>}
        <div className="actions">
          <button type="button" className="button button-quiet" onClick={onClose}>
            Close
          </button>
          <button type="submit" className="button" aria-disabled={deed.isPending}>
            {deed.isPending ? 'One moment…' : action}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
