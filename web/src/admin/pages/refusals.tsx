/** Pages in the place of one that is not there, or not for who asks. */

import * as session from '../../shared/desk/session'
import { Notice } from '../../shared/desk/ui/Notice'
import { Link, navigate } from '../../shared/router'

export function MissingPage() {
  return (
    <Notice icon="info" title="There is no such page">
      <p>The address may be wrong.</p>
      <Link to="/" className="button">
        Go to the overview
      </Link>
    </Notice>
  )
}

export function NotForYouPage({ needed }: { needed: readonly session.Role[] }) {
  return (
    <Notice icon="info" title="This page is not for your roles">
      <p>
        It needs {needed.length > 1 ? 'one of the roles' : 'the role'} {needed.join(', ')}. Somebody with the role admin
        can give it to you.
      </p>
      <Link to="/" className="button">
        Go to the overview
      </Link>
    </Notice>
  )
}

/** A customer who has found this page. */
export function NoRolePage() {
  const leave = () => {
    session.end()
    navigate('/login')
  }
  return (
    <Notice icon="info" title="Your account has no role here">
      <p>
        You are signed in as a customer. Roles are given by somebody with the role admin; a new one counts from the next
        time that you sign in.
      </p>
      <div className="actions">
        <a href="/" className="button">
          Go to the store
        </a>
        <button type="button" className="button button-quiet" onClick={leave}>
          Sign in as somebody else
        </button>
      </div>
    </Notice>
  )
}
