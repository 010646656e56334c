/** Asks for the password before something dangerous, and lets the call that was refused go on. */
import { useRef, useState } from 'react'
import { useAction } from '../../answers'
import { ApiError, explain } from '../../api/errors'
import { FormError, useFocusOnError } from '../../ui/Field'
import { PasswordField } from '../../ui/PasswordField'
import * as account from '../api/account'
import * as session from '../session'
import * as sudo from '../sudo'
import { isCodeWanted } from '../sudo'
import { CodeField } from './CodeField'
import { Dialog } from './Dialog'

export function SudoDialog() {
  const isAsked = sudo.useIsAsked()
  const isSignedIn = session.useSession() !== null
  return isAsked && isSignedIn ? <Question /> : null
}

function Question() {
  const form = useRef<HTMLFormElement>(null)
  const asking = useAction(account.sudo, {
    onSuccess: (token) => {
      session.renewed(token)
      sudo.answer(true)
    },
    onError: (problem) => {
      if (isCodeWanted(problem)) setNeedsCode(true)
    },
  })
  const [needsCode, setNeedsCode] = useState(false)
  const [hasSent, setSent] = useState(false)
  // That a code is wanted is the next question, no complaint.
  const error = isCodeWanted(asking.error) && !hasSent ? undefined : asking.error
  const wrong = complaint(error)
  useFocusOnError(form, wrong && error)
  return (
    <Dialog title="Confirm that it is you" onClose={() => sudo.answer(false)}>
      <p>What you are about to do needs your password once more. It is asked for again after five minutes.</p>
      <form
        ref={form}
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          const data = new FormData(event.currentTarget)
          const code = String(data.get('code') ?? '').replaceAll(/\s/g, '')
          setSent(code !== '')
          asking.run({ password: String(data.get('password')), ...(code && { code }) })
        }}
      >
        <PasswordField autoComplete="current-password" error={wrong} />
        {needsCode && <CodeField error={undefined} isFocused />}
        {error !== undefined && !wrong && <FormError>{explain(error)}</FormError>}
        <div className="actions">
          <button type="button" className="button button-quiet" onClick={() => sudo.answer(false)}>
            Cancel
          </button>
          <button type="submit" className="button" aria-disabled={asking.isPending}>
            {asking.isPending ? 'One moment…' : 'Confirm'}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function complaint(error: unknown): string | undefined {
  if (!(error instanceof ApiError)) return undefined
  const isWrong = error.failure === 'unauthorized' || 'password' in error.fields || 'code' in error.fields
  return isWrong ? 'This is not right. Try again.' : undefined
}
