/** The own account: the password, and the second factor that some roles need. */
import './AccountPage.css'
import { useRef } from 'react'
import { useAction } from '../../shared/answers'
import { ApiError, explain } from '../../shared/api/errors'
import * as account from '../../shared/desk/api/account'
import * as session from '../../shared/desk/session'
import { Facts, Panel } from '../../shared/desk/ui/Panel'
import { FormError, useFocusOnError } from '../../shared/ui/Field'
import { Heading } from '../../shared/ui/Page'
import { PasswordField } from '../../shared/ui/PasswordField'
import { toast } from '../../shared/ui/toasts'
import { SecondFactor } from '../ui/SecondFactor'

export default function AccountPage() {
  const { roles, mustEnrol } = session.useClaims()
  const user = session.useSession()?.user
  return (
    <div className="page">
      <Heading>Your account</Heading>
      {mustEnrol && (
        <p className="account-first" role="status">
          Your roles need a second factor. Set it up here, then everything else is open to you.
        </p>
      )}
      <div className="split">
        <div className="stack">
          <SecondFactor />
          {!mustEnrol && <Password />}
        </div>
        <Panel title="Who you are">
          <Facts
            facts={[
              ['Name', user?.name],
              ['E-mail', user?.email],
              [
                'Roles',
                roles.length > 0 ? roles.map((role) => `${role} (${session.ROLE_WORDS[role]})`).join(', ') : 'none',
              ],
            ]}
          />
        </Panel>
      </div>
    </div>
  )
}

function Password() {
  const form = useRef<HTMLFormElement>(null)
  const change = useAction(account.changePassword, {
    onSuccess: (token) => {
      form.current?.reset()
      session.renewed(token)
      toast('success', 'Your password is changed')
    },
  })
  useFocusOnError(form, change.error)
  const wrong = complaints(change.error)
  return (
    <Panel title="Password">
      <form
        ref={form}
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          const data = new FormData(event.currentTarget)
          change.run({
            currentPassword: String(data.get('currentPassword')),
            newPassword: String(data.get('newPassword')),
          })
        }}
      >
        <PasswordField
          label="Current password"
          name="currentPassword"
          autoComplete="current-password"
          error={wrong.currentPassword}
        />
        <PasswordField
          label="New password"
          name="newPassword"
          autoComplete="new-password"
          hint="It ends all other sessions of this account."
          error={wrong.newPassword}
        />
        {change.error !== undefined && Object.keys(wrong).length === 0 && (
          <FormError>{explain(change.error)}</FormError>
        )}
        <div className="actions">
          <button type="submit" className="button" aria-disabled={change.isPending}>
            {change.isPending ? 'One moment…' : 'Change password'}
          </button>
        </div>
      </form>
    </Panel>
  )
}

function complaints(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError)) return {}
  return error.failure === 'unauthorized' ? { currentPassword: 'This is not your password.' } : error.fields
}
