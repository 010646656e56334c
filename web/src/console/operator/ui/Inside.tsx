/** Around the pages that ask a process: in their place it is said what is missing when they cannot. */
import type { ReactNode } from 'react'
import { ApiError, explain } from '../../../shared/api/errors'
import * as session from '../../../shared/desk/session'
import { Notice } from '../../../shared/desk/ui/Notice'
import { Link } from '../../../shared/router'
import { PageSkeleton } from '../../../shared/ui/PageSkeleton'
import { SignInPage } from '../pages/SignInPage'
import { useProcess } from '../process'
import { useSignIn } from '../signIn'
import { CommandLine } from './CommandLine'

export function Inside({ children }: { children: ReactNode }) {
  const { process, error, refresh } = useProcess()
  if (process) return children
  if (error === undefined) return <PageSkeleton />
  const failure = error instanceof ApiError ? error.failure : 'broken'
  if (failure === 'unauthorized') return <SignInPage />
  if (failure === 'conflict') return <NotForYou why={explain(error)} />
  return <NoProcess retry={refresh} />
}

function NotForYou({ why }: { why: string }) {
  const isSignedIn = session.useSession() !== null
  const signIn = useSignIn()
  return (
    <Notice icon="info" title="This process tells you nothing">
      <p>{why}</p>
      <div className="actions">
        {isSignedIn ? (
          <button type="button" className="button" onClick={session.end}>
            Sign out
          </button>
        ) : (
          <Link to={signIn} className="button">
            Sign in
          </Link>
        )}
      </div>
    </Notice>
  )
}

function NoProcess({ retry }: { retry: () => void }) {
  return (
    <Notice icon="alert" title="No process answers here">
      <p>
        This page shows a running process. It is asked every few seconds; the page opens by itself when it answers. The
        editor works without one.
      </p>
      <CommandLine command="millrace run --config configs/monolith.yaml" label="To start one" />
      <div className="actions">
        <button type="button" className="button" onClick={retry}>
          Ask again
        </button>
        <Link to="/" className="button button-quiet">
          Go to the editor
        </Link>
      </div>
    </Notice>
  )
}
