import * as api from '../api/client'
import { ApiError } from '../api/errors'
import { Link } from '../router'
import { EmailField } from '../ui/EmailField'
import { Field } from '../ui/Field'
import { Gate } from '../ui/Gate'
import { PasswordField } from '../ui/PasswordField'

export default function RegisterPage() {
  return (
    <Gate
      image="/img/accessories.svg"
      title="Create account"
      lead="A name, an e-mail, a password: nothing else is asked."
      action="Create Account"
      greeting="Account created! Welcome!"
      open={register}
      complaints={complaints}
      other={
        <>
          Already a customer? <Link to="/login">Sign in instead</Link>
        </>
      }
    >
      {({ name, email, password }) => (
        <>
          <Field label="Full name" name="name" autoComplete="name" required error={name} />
          <EmailField error={email} />
          <PasswordField autoComplete="new-password" hint="8 characters or more." error={password} />
        </>
      )}
    </Gate>
  )
}

function register(data: FormData) {
  const text = (name: string) => String(data.get(name)).trim()
  return api.register({ name: text('name'), email: text('email'), password: String(data.get('password')) })
}

function complaints(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError)) return {}
  return error.failure === 'conflict' ? { email: 'There is an account with this e-mail already.' } : error.fields
}
