import { useRef } from 'react'
import { useAction } from '../answers'
import * as api from '../api/client'
import { ApiError, explain } from '../api/errors'
import { Link } from '../router'
import * as session from '../session'
import { Field, focusFirstError } from '../ui/Field'
import { Gate } from '../ui/Gate'
import { Heading } from '../ui/Page'
import { PasswordField } from '../ui/PasswordField'
import { toast } from '../ui/toasts'

export default function LoginPage() {
  const form = useRef<HTMLFormElement>(null)
  const login = useAction(api.login, {
    onSuccess: (opened) => {
      toast('success', 'Welcome back!')
      session.begin(opened)
    },
    onError: (error) => {
      toast('error', words(error))
      focusFirstError(form.current)
    },
  })
  const fields = login.error instanceof ApiError ? login.error.fields : {}
  return (
    <Gate image="/img/electronics.svg">
      <Heading>Welcome back</Heading>
      <p>Log in to buy, and to follow what you bought.</p>
      <form
        ref={form}
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          const data = new FormData(event.currentTarget)
          login.run({ email: String(data.get('email')).trim(), password: String(data.get('password')) })
        }}
      >
        <Field label="Email" name="email" type="email" autoComplete="email" required error={fields.email} />
        <PasswordField autoComplete="current-password" error={fields.password} />
        <button type="submit" className="button button-wide" disabled={login.isPending}>
          {login.isPending ? 'One moment…' : 'Sign In'}
        </button>
      </form>
      <p className="gate-other">
        No account yet? <Link to="/register">Create one</Link>
      </p>
    </Gate>
  )
}

function words(error: unknown): string {
  const isRefused = error instanceof ApiError && error.failure === 'unauthorized'
  return isRefused ? 'This e-mail and password do not belong together. Check both and try again.' : explain(error)
}
