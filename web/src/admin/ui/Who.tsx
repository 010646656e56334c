/** Whose account it is, and the way out. */
import * as session from '../../shared/desk/session'
import { Link, navigate, usePath } from '../../shared/router'
import { ThemeButton } from '../../shared/ui/ThemeButton'
import { toast } from '../../shared/ui/toasts'

export function Who() {
  const { roles } = session.useClaims()
  const path = usePath()
  const user = session.useSession()?.user
  return (
    <>
      <Link to="/account" className="desk-person" aria-current={path === '/account' ? 'page' : undefined}>
        <b>
          <span className="sr-only">Your account: </span>
          {user?.name}
        </b>
        <span>{roles.length > 0 ? roles.join(', ') : 'no role'}</span>
      </Link>
      <div className="desk-who-ways">
        <ThemeButton />
        <button type="button" className="desk-sign-out" onClick={signOut}>
          Sign out
        </button>
      </div>
    </>
  )
}

function signOut() {
  session.end()
  navigate('/login')
  toast('info', 'You are signed out')
}
