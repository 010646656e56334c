/** Who looks, at which process, and how to become somebody. */
import './Who.css'
import { ApiError } from '../../../shared/api/errors'
import * as session from '../../../shared/desk/session'
import { Link, navigate } from '../../../shared/router'
import { ThemeButton } from '../../../shared/ui/ThemeButton'
import { toast } from '../../../shared/ui/toasts'
import { useLive } from '../live'
import { useProcess } from '../process'
import { useSignIn } from '../signIn'

export function Who() {
  const user = session.useSession()?.user
  const { roles } = session.useClaims()
  const { process } = useProcess()
  const signIn = useSignIn()
  return (
    <>
      <Process />
      {(user || process) && (
        <p className="desk-person">
          <b>{user ? user.name : 'This machine'}</b>
          <span>{user ? roles.join(', ') || 'no role' : words(process?.may)}</span>
        </p>
      )}
      <div className="desk-who-ways">
        <ThemeButton />
        {user ? (
          <button type="button" className="desk-sign-out" onClick={signOut}>
            Sign out
          </button>
        ) : (
          <Link to={signIn} className="desk-sign-out">
            Sign in
          </Link>
        )}
      </div>
    </>
  )
}

function Process() {
  const { process, error } = useProcess()
  const { link } = useLive()
  const state = !process ? 'off' : link === 'live' ? 'live' : link
  // One that refuses is there.
  const isRefused = error instanceof ApiError && ['unauthorized', 'conflict'].includes(error.failure)
  const said = {
    off: isRefused ? 'not for you' : 'no process',
    live: 'live',
    waiting: 'connecting',
    lost: 'connection lost',
  }[state]
  return (
    <p className="process" data-state={state}>
      <b>{process?.process ?? 'millrace'}</b>
      <span>{said}</span>
    </p>
  )
}

function words(may: readonly string[] | undefined): string {
  return may?.includes('deploy') ? 'may do everything' : 'may look'
}

function signOut() {
  session.end()
  navigate('/')
  toast('info', 'You are signed out')
}
