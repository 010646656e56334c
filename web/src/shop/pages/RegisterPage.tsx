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

export default function RegisterPage() {
  const form = useRef<HTMLFormElement>(null)
  const register = useAction(api.register, {
    onSuccess: (opened) => {
      toast('success', 'Account created! Welcome!')
      session.begin(opened)
    },
    onError: (error) => {
      toast('error', explain(error))
      focusFirstError(form.current)
    },
  })
  const fields = complaints(register.error)
  return (
    <Gate image="/img/accessories.svg">
      <Heading>Create account</Heading>
      <p>A name, an e-mail, a password: nothing else is asked.</p>
      <form
        ref={form}
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          const data = new FormData(event.currentTarget)
          const text = (name: string) => String(data.get(name)).trim()
          register.run({ name: text('name'), email: text('email'), password: String(data.get('password')) })
        }}
      >
        <Field label="Full name" name="name" autoComplete="name" required maxLength={100} error={fields.name} />
        <Field label="Email" name="email" type="email" autoComplete="email" required error={fields.email} />
        <PasswordField autoComplete="new-password" hint="8 characters or more." error={fields.password} />
        <button type="submit" className="button button-wide" disabled={register.isPending}>
          {register.isPending ? 'One moment…' : 'Create Account'}
        </button>
      </form>
      <p className="gate-other">
        Already a customer? <Link to="/login">Sign in instead</Link>
      </p>
    </Gate>
  )
}

function complaints(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError)) return {}
  return error.failure === 'conflict' ? { email: 'There is an account with this e-mail already.' } : error.fields
}
