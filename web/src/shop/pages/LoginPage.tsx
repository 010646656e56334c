import * as api from '../api/client'
import { ApiError } from '../api/errors'
import { Link } from '../router'
import * as session from '../session'
import { EmailField } from '../ui/EmailField'
import { Gate } from '../ui/Gate'
import { PasswordField } from '../ui/PasswordField'

export default function LoginPage() {
  return (
    <Gate
      image="/img/electronics.svg"
      title="Welcome back"
      lead={
        session.hasExpired()
          ? 'Your session has ended. Log in again to go on where you were.'
          : 'Log in to buy, and to follow what you bought.'
      }
      action="Sign In"
      greeting="Welcome back!"
      open={(data) => api.login({ email: String(data.get('email')).trim(), password: String(data.get('password')) })}
      alarm="You are not logged in"
      complaints={complaints}
      other={
        <>
          No account yet? <Link to="/register">Create one</Link>
        </>
      }
    >
      {({ email, password }) => (
        <>
          <EmailField error={email} />
          <PasswordField autoComplete="current-password" error={password} />
        </>
      )}
    </Gate>
  )
}

function complaints(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError)) return {}
  if (error.failure !== 'unauthorized') return error.fields
  return { password: 'This e-mail and password do not belong together. Check both and try again.' }
}
