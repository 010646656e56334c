/** Who works here signs in, with a code where the account has a second factor. */
import './LoginPage.css'
import { type ReactNode, useRef, useState } from 'react'
import { useAction } from '../../answers'
import { ApiError, explain } from '../../api/errors'
import { EmailField } from '../../ui/EmailField'
import { FormError, useFocusOnError } from '../../ui/Field'
import { Mark } from '../../ui/Mark'
import { Heading } from '../../ui/Page'
import { PasswordField } from '../../ui/PasswordField'
import { ThemeButton } from '../../ui/ThemeButton'
import * as account from '../api/account'
import * as session from '../session'
import { isCodeWanted } from '../sudo'
import { CodeField } from './CodeField'

interface Props {
  /** What the application is called. */
  name: string
  /** Whom it is for. */
  words: string
  /** Elsewhere, for who has come here by mistake. */
  elsewhere: ReactNode
  onDone?: () => void
}

export function LoginPage({ name, words, elsewhere, onDone }: Props) {
  const form = useRef<HTMLFormElement>(null)
  const [needsCode, setNeedsCode] = useState(false)
  const [hasSent, setSent] = useState(false)
  const login = useAction(account.login, {
    onSuccess: (begun) => {
      session.begin(begun)
      onDone?.()
    },
    onError: (error) => {
      if (isCodeWanted(error)) setNeedsCode(true)
    },
  })
  // That a code is wanted is the next question, no complaint.
  const error = isCodeWanted(login.error) && !hasSent ? undefined : login.error
  useFocusOnError(form, error)
  const wrong = complaints(error, needsCode)
  return (
    <div className="desk desk-login">
      <section>
        <p className="desk-login-name">
          <Mark />
          <span>{name.toLowerCase()}</span>
          <ThemeButton />
        </p>
        <Heading title="Sign in">Sign in</Heading>
        <p>{session.hasExpired() ? 'Your session has ended. Sign in again to go on where you were.' : words}</p>
        <form
          ref={form}
          className="form"
          onSubmit={(event) => {
            event.preventDefault()
            const data = new FormData(event.currentTarget)
            const text = (name: string) => String(data.get(name) ?? '')
            const code = text('code').replaceAll(/\s/g, '')
            setSent(code !== '')
            login.run({ email: text('email').trim(), password: text('password'), ...(code && { code }) })
          }}
        >
          <EmailField error={wrong.email} />
          <PasswordField autoComplete="current-password" error={wrong.password} />
          {needsCode && <CodeField error={wrong.code} isFocused />}
          {error !== undefined && Object.keys(wrong).length === 0 && <FormError>{explain(error)}</FormError>}
          <button type="submit" className="button button-wide" aria-disabled={login.isPending}>
            {login.isPending ? 'One moment…' : 'Sign in'}
          </button>
        </form>
        <p>{elsewhere}</p>
      </section>
    </div>
  )
}

function complaints(error: unknown, needsCode: boolean): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError)) return {}
  if (error.failure !== 'unauthorized') return error.fields
  return needsCode
    ? { code: 'The e-mail, the password and the code do not belong together. A code is good once, for half a minute.' }
    : { password: 'This e-mail and password do not belong together. Check both and try again.' }
}
