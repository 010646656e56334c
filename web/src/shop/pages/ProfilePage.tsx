import '../ui/columns.css'
import './ProfilePage.css'
import { useRef, useState } from 'react'
import { put, useAction, useAnswer } from '../../shared/answers'
import * as api from '../../shared/api/account'
import { ApiError, explain } from '../../shared/api/errors'
import { fullDate, initials } from '../../shared/format'
import { navigate } from '../../shared/router'
import * as session from '../../shared/session'
import { EmailField } from '../../shared/ui/EmailField'
import { Field, FormError, useFocusOnError } from '../../shared/ui/Field'
import { Heading, Skeleton } from '../../shared/ui/Page'
import { PasswordField } from '../../shared/ui/PasswordField'
import { toast } from '../../shared/ui/toasts'
import { cart } from '../cart'
import { dropDraft } from '../orders/draft'
import { dropKey } from '../orders/purchase'
import { Trouble } from '../ui/Trouble'

export default function ProfilePage() {
  const known = session.useUser()
  const { data: newest, error, refresh } = useAnswer('profile', api.profile)
  const data = newest ?? known
  if (error && !data) return <Trouble error={error} retry={refresh} what="profile" />
  return (
    <div className="page">
      <Heading>Your Profile</Heading>
      <div className="columns">
        {data ? (
          <div className="profile-forms">
            <ProfileForm key={data.id} user={data} />
            <PasswordForm />
          </div>
        ) : (
          <Skeleton className="skeleton-block" label="Loading your profile" />
        )}
        <section className="panel profile-card" aria-labelledby="on-this-device">
          {data && (
            <span className="initials" aria-hidden="true">
              {initials(data.name)}
            </span>
          )}
          <h2 id="on-this-device">On this device</h2>
          {data && <p>Customer since {fullDate(data.createdAt)}</p>}
          <p>Signing out empties the cart too, for whoever uses this device next.</p>
          <button type="button" id="logout-btn" className="button button-quiet" onClick={signOut}>
            Sign Out
          </button>
        </section>
      </div>
    </div>
  )
}

function signOut() {
  navigate('/')
  // Whoever uses this device next starts anew.
  cart.set([])
  dropDraft()
  void dropKey()
  session.end()
  toast('info', 'You are signed out')
}

function ProfileForm({ user }: { user: session.User }) {
  const form = useRef<HTMLFormElement>(null)
  const [email, setEmail] = useState(user.email)
  const change = useAction(api.changeProfile, {
    onSuccess: (changed) => {
      put('profile', changed)
      session.user.set(changed)
      toast('success', 'Profile updated')
    },
  })
  useFocusOnError(form, change.error)
  const fields = complaints(change.error)
  // Whoever has the e-mail has the account, so a session that was left open is not enough for another one.
  const moves = email.trim() !== user.email
  return (
    <form
      ref={form}
      id="profile-form"
      className="form panel"
      onSubmit={(event) => {
        event.preventDefault()
        const data = new FormData(event.currentTarget)
        const text = (name: string) => String(data.get(name)).trim()
        const person = { name: text('name'), email: text('email') }
        change.run(moves ? { ...person, currentPassword: String(data.get('password')) } : person)
      }}
    >
      <Field
        id="name"
        label="Full name"
        name="name"
        autoComplete="name"
        required
        defaultValue={user.name}
        error={fields.name}
      />
      <EmailField
        id="email"
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
        error={fields.email}
      />
      {moves && (
        <PasswordField
          label="Current password"
          autoComplete="current-password"
          hint="Another e-mail needs your password."
          error={fields.currentPassword}
        />
      )}
      {change.error !== undefined && Object.keys(fields).length === 0 && <FormError>{explain(change.error)}</FormError>}
      <button type="submit" className="button" aria-disabled={change.isPending}>
        Save Changes
      </button>
    </form>
  )
}

/** Behind a button, so that no browser takes it for a login. */
function PasswordForm() {
  const form = useRef<HTMLFormElement>(null)
  const [isOpen, setOpen] = useState(false)
  const change = useAction(api.changePassword, {
    onSuccess: (opened) => {
      session.begin(opened)
      setOpen(false)
      toast('success', 'Password changed. Everywhere else you have to log in again.')
    },
  })
  useFocusOnError(form, change.error)
  const fields = change.error instanceof ApiError ? change.error.fields : {}
  if (!isOpen) {
    return (
      <button type="button" className="button button-quiet" onClick={() => setOpen(true)}>
        Change Password
      </button>
    )
  }
  return (
    <form
      ref={form}
      id="password-form"
      className="form panel"
      aria-label="Change your password"
      onSubmit={(event) => {
        event.preventDefault()
        const data = new FormData(event.currentTarget)
        change.run({ currentPassword: String(data.get('old-password')), newPassword: String(data.get('new-password')) })
      }}
    >
      <PasswordField
        label="Old password"
        name="old-password"
        autoComplete="current-password"
        error={fields.currentPassword}
      />
      <PasswordField
        label="New password"
        name="new-password"
        autoComplete="new-password"
        hint="8 to 128 characters."
        error={fields.newPassword}
      />
      {change.error !== undefined && Object.keys(fields).length === 0 && <FormError>{explain(change.error)}</FormError>}
      <button type="submit" className="button" aria-disabled={change.isPending}>
        Set Password
      </button>
    </form>
  )
}

function complaints(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError)) return {}
  const taken = error.failure === 'conflict' && Object.keys(error.fields).length === 0
  return taken ? { email: 'Another account has this e-mail.' } : error.fields
}
