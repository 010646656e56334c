/** Becomes somebody: by e-mail and password where the process keeps accounts, by a token elsewhere. */
import './SignInPage.css'
import { useAction } from '../../../shared/answers'
import { ApiError, explain } from '../../../shared/api/errors'
import * as desk from '../../../shared/desk/session'
import { LoginPage } from '../../../shared/desk/ui/LoginPage'
import { Link, navigate } from '../../../shared/router'
import { FormError, TextField } from '../../../shared/ui/Field'
import * as api from '../api'
import { useProcess } from '../process'
import { useWayBack } from '../signIn'
import { CommandLine } from '../ui/CommandLine'

export function SignInPage() {
  const back = useWayBack()
  const { error } = useProcess()
  const isRefused = error instanceof ApiError && error.failure === 'unauthorized'
  // Who has to be somebody would meet the sign-in again on all pages but the first one.
  const without = back === undefined || back === '/instances' || isRefused ? '/' : back
  const done = () => {
    if (back) navigate(back, { replace: true })
  }
  return (
    <div className="sign-in">
      <LoginPage
        name="Millrace console"
        words="For those who run the process: support, operator, designer, admin."
        elsewhere={<Link to={without}>Go on without</Link>}
        onDone={done}
      />
      <details>
        <summary>No account with a role yet?</summary>
        <p>Register in the store as a customer does. Then give that account a role, on the machine of the process:</p>
        <CommandLine command="millrace users grant --config configs/monolith.yaml you@example.com admin" />
      </details>
      <details>
        <summary>Sign in with a token</summary>
        <Token onDone={done} />
      </details>
    </div>
  )
}

function Token({ onDone }: { onDone: () => void }) {
  const trying = useAction(bearer, {
    onSuccess: (session) => {
      desk.begin(session)
      onDone()
    },
  })
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault()
        trying.run(String(new FormData(event.currentTarget).get('token')).trim())
      }}
    >
      <TextField
        label="Token"
        name="token"
        rows={3}
        required
        autoComplete="off"
        spellCheck={false}
        hint="Where a process keeps no accounts: one that the process with the accounts has given."
      />
      {trying.error !== undefined && <FormError>{explain(trying.error)}</FormError>}
      <button type="submit" className="button button-wide" aria-disabled={trying.isPending}>
        {trying.isPending ? 'One moment…' : 'Use this token'}
      </button>
    </form>
  )
}

/** Whose token it is, by the process's own word. */
async function bearer(token: string): Promise<desk.Session> {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new ApiError('invalid', 'a token is one word without spaces')
  const { who } = await api.sessionOf(token)
  return { token, user: { id: who, name: `account ${who.slice(-8)}`, email: '' } }
}
