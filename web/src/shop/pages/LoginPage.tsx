import * as api from '../api/client'
import { ApiError, explain } from '../api/errors'
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
      explain={words}
      complaints={(error) => (error instanceof ApiError ? error.fields : {})}
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

function words(error: unknown): string {
  const isRefused = error instanceof ApiError && error.failure === 'unauthorized'
  return isRefused ? 'This e-mail and password do not belong together. Check both and try again.' : explain(error)
}
