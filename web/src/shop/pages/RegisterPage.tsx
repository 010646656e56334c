import * as api from '../../shared/api/account'
import { ApiError } from '../../shared/api/errors'
import { Link } from '../../shared/router'
import { EmailField } from '../../shared/ui/EmailField'
import { Field } from '../../shared/ui/Field'
import { Gate } from '../../shared/ui/Gate'
import { PasswordField } from '../../shared/ui/PasswordField'
import { Picture } from '../ui/Picture'

export default function RegisterPage() {
  return (
    <Gate
      picture={<Picture image="/img/accessories.svg" productId="" category="accessories" eager />}
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
