import * as api from '../../shared/api/account'
import { ApiError } from '../../shared/api/errors'
import { Link, navigate } from '../../shared/router'
import * as session from '../../shared/session'
import { GateForm } from '../../shared/ui/Gate'
import { PasswordField } from '../../shared/ui/PasswordField'
import { toast } from '../../shared/ui/toasts'
import { Picture } from '../ui/Picture'

/** Where the link of the message leads. */
export default function ResetPage({ token }: { token: string }) {
  return (
    <GateForm
      picture={<Picture image="/img/electronics.svg" productId="" category="electronics" eager />}
      title="Set another password"
      lead="Whoever is logged in to your account anywhere has to log in with it again."
      action="Set the Password"
      send={(data) => api.resetPassword({ token, newPassword: String(data.get('password')) }).catch(told)}
      onSuccess={() => {
        // A session of before has ended too.
        session.end()
        toast('success', 'Your password is set')
        navigate('/login', { replace: true })
      }}
      complaints={complaints}
      other={
        <>
          The link does not work any more? <Link to="/forgotten">Get another one</Link>
        </>
      }
    >
      {({ newPassword }) => <PasswordField label="New password" autoComplete="new-password" error={newPassword} />}
    </GateForm>
  )
}

/** What is wrong with the link is no field of the form. */
function told(error: unknown): never {
  const wrong = error instanceof ApiError && error.fields.token
  throw wrong ? new ApiError('conflict', wrong) : error
}

function complaints(error: unknown): Readonly<Record<string, string>> {
  return error instanceof ApiError ? error.fields : {}
}
