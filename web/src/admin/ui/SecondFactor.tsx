/** Sets up an authenticator, and shows the codes for when it is lost, once. */
import './SecondFactor.css'
import { useMemo, useRef, useState } from 'react'
import { encode } from 'uqr'
import { put, useAction, useAnswer } from '../../shared/answers'
import { ApiError, explain } from '../../shared/api/errors'
import * as account from '../../shared/desk/api/account'
import { copy } from '../../shared/desk/copy'
import * as session from '../../shared/desk/session'
import { CodeField } from '../../shared/desk/ui/CodeField'
import { Panel } from '../../shared/desk/ui/Panel'
import { FormError, useFocusOnError } from '../../shared/ui/Field'
import { toast } from '../../shared/ui/toasts'

export function SecondFactor() {
  const { data } = useAnswer('admin/profile', account.profile)
  const [enrolment, setEnrolment] = useState<account.Enrolment>()
  const [codes, setCodes] = useState<readonly string[]>()
  const isSet = data?.secondFactor === true
  const know = (secondFactor: boolean) => data && put('admin/profile', { ...data, secondFactor })
  const begin = useAction(account.enrol, { onSuccess: setEnrolment })
  const remove = useAction(account.removeFactor, {
    onSuccess: (token) => {
      session.renewed(token)
      know(false)
      toast('success', 'The second factor is removed')
    },
  })
  const confirmed = ({ recoveryCodes, token }: account.Enrolled) => {
    setEnrolment(undefined)
    setCodes(recoveryCodes)
    know(true)
    session.renewed(token)
    toast('success', 'The second factor is set up')
  }
  const error = begin.error ?? remove.error
  return (
    <Panel title="Second factor">
      <p>
        {isSet
          ? 'Signing in asks for a code of your authenticator.'
          : 'A code of an authenticator app, asked for when you sign in: a stolen password is not enough then.'}
      </p>
      {codes && <Recovery codes={codes} onKept={() => setCodes(undefined)} />}
      {enrolment && <Enrol enrolment={enrolment} onDone={confirmed} />}
      {!enrolment && (
        <div className="actions">
          {isSet ? (
            <button
              type="button"
              className="button button-quiet"
              aria-disabled={remove.isPending}
              onClick={() => remove.run()}
            >
              Remove it
            </button>
          ) : (
            <button type="button" className="button" aria-disabled={begin.isPending} onClick={() => begin.run()}>
              Set it up
            </button>
          )}
        </div>
      )}
      {error !== undefined && <FormError>{explain(error)}</FormError>}
    </Panel>
  )
}

interface EnrolProps {
  enrolment: account.Enrolment
  onDone: (enrolled: account.Enrolled) => void
}

function Enrol({ enrolment: { secret, uri }, onDone }: EnrolProps) {
  const form = useRef<HTMLFormElement>(null)
  const confirm = useAction(account.confirmFactor, { onSuccess: onDone })
  useFocusOnError(form, confirm.error)
  const isWrong =
    confirm.error instanceof ApiError && ['unauthorized', 'invalid', 'conflict'].includes(confirm.error.failure)
  return (
    <form
      ref={form}
      className="form factor"
      onSubmit={(event) => {
        event.preventDefault()
        confirm.run(String(new FormData(event.currentTarget).get('code')).replaceAll(/\s/g, ''))
      }}
    >
      <div className="factor-secret">
        <Code text={uri} />
        <p>
          Scan this with your authenticator, <a href={uri}>open it</a> on this device, or type the key:{' '}
          <code>{secret.replaceAll(/(.{4})(?=.)/g, '$1 ')}</code>
        </p>
      </div>
      <CodeField
        hint="Six digits that the authenticator shows now."
        error={isWrong ? 'This is not the code of now. Wait for the next one and try again.' : undefined}
        isFocused
      />
      {confirm.error !== undefined && !isWrong && <FormError>{explain(confirm.error)}</FormError>}
      <div className="actions">
        <button type="submit" className="button" aria-disabled={confirm.isPending}>
          {confirm.isPending ? 'One moment…' : 'Confirm'}
        </button>
      </div>
    </form>
  )
}

/** Dark on light in both themes: readers of such codes expect it. */
function Code({ text }: { text: string }) {
  const { size, path } = useMemo(() => {
    const { data, size } = encode(text, { border: 4 })
    const dots = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])))
    return { size, path: dots.join('') }
  }, [text])
  return (
    <svg
      className="factor-code"
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label="The key as a picture for an authenticator"
    >
      <rect width={size} height={size} fill="#ffffff" />
      <path d={path} fill="#000000" />
    </svg>
  )
}

function Recovery({ codes, onKept }: { codes: readonly string[]; onKept: () => void }) {
  return (
    <section className="factor-recovery" role="alert">
      <p>
        <b>Write these codes down now.</b> Each of them is good once in the place of the authenticator, and they are not
        shown again.
      </p>
      <ul>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div className="actions">
        <button type="button" className="button button-quiet" onClick={() => copy(codes.join('\n'), 'codes')}>
          Copy them
        </button>
        <button type="button" className="button button-quiet" onClick={onKept}>
          I have them
        </button>
      </div>
    </section>
  )
}
