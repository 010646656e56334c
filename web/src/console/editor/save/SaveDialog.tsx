/** Before a config is saved: what that changes, whose work is in the way, the texts side by side, and why it is done. */
import './SaveDialog.css'
import { useEffect, useRef, useState } from 'react'
import { useAction } from '../../../shared/answers'
import { explain } from '../../../shared/api/errors'
import * as session from '../../../shared/desk/session'
import { Dialog } from '../../../shared/desk/ui/Dialog'
import { Link } from '../../../shared/router'
import { FormError, TextField, useFocusOnError } from '../../../shared/ui/Field'
import { command, WHY } from '../../operator/command'
import type { Config, Plan, SaveResult } from '../../operator/config'
import { ROLES, useProcess } from '../../operator/process'
import { useSignIn } from '../../operator/signIn'
import { CommandLine } from '../../operator/ui/CommandLine'
import { Consequences, type Told } from '../../operator/ui/Consequences'
import { Difference } from '../../operator/ui/Difference'
import { saveAsFile } from '../actions.ts'
import { model, select, useShown } from '../documents.ts'
import { arrive, leave } from '../left.ts'
import { offset } from '../problems.ts'
import { pathAt } from '../selection.ts'
import { view } from '../view.ts'
import { type Saving, useSaving } from './saving.ts'
import { Together } from './Together.tsx'

const close = () => view({ saving: false })

/** The save goes on when they are back. */
const leaveToSignIn = () => {
  leave('saving')
  close()
}

export default function SaveDialog() {
  const saving = useSaving()
  const { process } = useProcess()
  const { step } = saving
  const isAway = step.at === 'away'
  useEffect(() => arrive('saving'), [])
  useEffect(() => {
    if (!isAway) return
    close()
    saveAsFile({ isAway: true })
  }, [isAway])
  const name = process?.process ?? 'this process'
  const title =
    step.at === 'saved' ? 'Saved' : step.at === 'changed' ? 'Somebody else has saved' : `Save as the config of ${name}`
  return (
    <Dialog title={title} isWide onClose={close}>
      <Body saving={saving} />
    </Dialog>
  )
}

function Body({ saving }: { saving: Saving }) {
  const { step, save, putTogether, takeTheirs } = saving
  const { text } = useShown()
  switch (step.at) {
    case 'asking':
    case 'away':
      return (
        <p className="save-wait" role="status">
          The process is asked what this would change…
        </p>
      )
    case 'untold':
      return <Untold why={step.why} isSignedOut={step.isSignedOut} />
    case 'changed':
      return (
        <Together
          theirs={step.theirs}
          base={step.base}
          mine={text}
          onTogether={(whole) => putTogether(whole, step.theirs)}
          onTheirs={() => {
            takeTheirs(step.theirs)
            close()
          }}
          onClose={close}
        />
      )
    case 'saved':
      return <Done result={step.result} before={step.before} />
    default:
      return <Question now={step.now} plan={step.plan} save={save} />
  }
}

function Untold({ why, isSignedOut }: { why: string; isSignedOut: boolean }) {
  const signIn = useSignIn()
  return (
    <>
      <p>{isSignedOut ? 'The process tells its config only to who has signed in.' : why}</p>
      <p>To save takes the role {ROLES.deploy}. What you have made stays here as a draft meanwhile.</p>
      <div className="actions">
        <FileButton />
        <Link to={signIn} className="button" onClick={leaveToSignIn}>
          Sign in
        </Link>
      </div>
    </>
  )
}

function FileButton() {
  const give = () => {
    close()
    saveAsFile()
  }
  return (
    <button type="button" className="button button-quiet" onClick={give}>
      Save as a file
    </button>
  )
}

/** Why whoever looks cannot save, before they try. */
function useWhyNot(now: Config): string | null {
  const { process } = useProcess()
  const isSignedIn = session.useSession() !== null
  const { roles } = session.useClaims()
  if (!now.writable) return now.whyNot ?? 'The file of the config cannot be written.'
  if (!process || process.may.includes('deploy')) return null
  if (!process.write) return 'This process takes no changes: `write` of its operator.api is false.'
  if (!isSignedIn) return `To save takes the role ${ROLES.deploy}, and nobody is signed in.`
  return `To save takes the role ${ROLES.deploy}. Your account has ${roles.join(', ') || 'no role'}.`
}

interface QuestionProps {
  now: Config
  plan: Plan
  save: (reason: string) => Promise<void>
}

function Question({ now, plan, save }: QuestionProps) {
  const { name, text } = useShown()
  const form = useRef<HTMLFormElement>(null)
  const [reason, setReason] = useState('')
  const saving = useAction(save, { onSuccess: () => undefined })
  useFocusOnError(form, saving.error)
  const whyNot = useWhyNot(now)
  const signIn = useSignIn()
  const isSignedIn = session.useSession() !== null
  const isSame = text === now.text
  const canSave = whyNot === null && plan.valid && plan.stranded.length === 0 && !isSame
  return (
    <form
      ref={form}
      className="form save-question"
      onSubmit={(event) => {
        event.preventDefault()
        if (canSave) saving.run(reason.trim())
      }}
    >
      <Consequences plan={plan} onProblem={showProblem} />
      <Difference label={`From what ${now.path.split('/').at(-1)} says now`} from={now.text} to={text} />
      {whyNot !== null && (
        <p className="save-refusal">
          {whyNot}{' '}
          {!isSignedIn && (
            <Link to={signIn} onClick={leaveToSignIn}>
              Sign in
            </Link>
          )}
        </p>
      )}
      {canSave && (
        <TextField
          label="Reason"
          name="reason"
          rows={2}
          required
          maxLength={500}
          hint="It is kept in the history and in the audit log, with your name."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      )}
      <CommandLine
        label="In a terminal"
        command={command('config', 'save', name, '--made-from', now.digest, '--reason', reason.trim() || WHY)}
      />
      {saving.error !== undefined && <FormError>{explain(saving.error)}</FormError>}
      <div className="actions">
        <FileButton />
        <button type="button" className="button button-quiet" onClick={close}>
          Close
        </button>
        {canSave && (
          <button type="submit" className="button" aria-disabled={saving.isPending}>
            {saving.isPending
              ? 'One moment…'
              : plan.takes === 'restart'
                ? 'Save, to run after a restart'
                : 'Save and run'}
          </button>
        )}
      </div>
    </form>
  )
}

/** The text, at the place. */
function showProblem({ line = 1, column = 1 }: Told): void {
  close()
  const now = model()
  view({ text: true, problems: true })
  select({ path: pathAt(now, offset(now.source.text, line, column)) })
}

function Done({ result, before }: { result: SaveResult; before: Config }) {
  const { done, runs, restart, problem } = result
  return (
    <>
      <p className="save-done" data-runs={runs || undefined} role="status">
        {done.charAt(0).toUpperCase()}
        {done.slice(1)}.
      </p>
      {restart.length > 0 && (
        <ul className="save-restart">
          {restart.map((part) => (
            <li key={part}>{part}</li>
          ))}
        </ul>
      )}
      {problem !== null && <p>The reason: {problem}</p>}
      <CommandLine
        label="To have the one before back"
        command={command('config', 'rollback', before.digest.slice(0, 12), '--reason', WHY)}
      />
      <div className="actions">
        <Link to="/history" className="button button-quiet" onClick={close}>
          All versions
        </Link>
        <button type="button" className="button" onClick={close}>
          Close
        </button>
      </div>
    </>
  )
}
