import * as api from '../../shared/api/account'
import { ApiError, explain } from '../../shared/api/errors'
import { Link } from '../../shared/router'
import * as session from '../../shared/session'
import { EmailField } from '../../shared/ui/EmailField'
import { Field } from '../../shared/ui/Field'
import { Gate } from '../../shared/ui/Gate'
import { PasswordField } from '../../shared/ui/PasswordField'
import { Picture } from '../ui/Picture'

export default function LoginPage() {
  return (
    <Gate
      picture={<Picture image="/img/electronics.svg" productId="" category="electronics" eager />}
      title="Welcome back"
      lead={
        session.hasExpired()
          ? 'Your session has ended. Log in again to go on where you were.'
          : 'Log in to buy, and to follow what you bought.'
      }
      action="Sign In"
      greeting="Welcome back!"
      open={(data) => {
        const code = data.get('code')
        const credentials = { email: String(data.get('email')).trim(), password: String(data.get('password')) }
        return api.login(code === null ? credentials : { ...credentials, code: String(code) })
      }}
      alarm="You are not logged in"
      complaints={complaints}
      other={
        <>
          No account yet? <Link to="/register">Create one</Link>
          <br />
          <Link to="/forgotten">Forgotten your password?</Link>
        </>
      }
    >
      {({ email, password, code }) => (
        <>
          <EmailField error={email} />
          <PasswordField autoComplete="current-password" error={password} />
          {code && <Field label="Code" name="code" autoComplete="one-time-code" required error={code} />}
        </>
      )}
    </Gate>
  )
}

function complaints(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError)) return {}
  if (error.failure !== 'unauthorized') return error.fields
  if (error.problem.code === 'second-factor-required') return { code: explain(error) }
  return { password: 'This e-mail and password do not belong together. Check both and try again.' }
}
