/** What a new state or a new transition is, asked in a dialog: by a line that was drawn, by a key, or by a button. */
import { type FormEvent, type ReactNode, useState } from 'react'
import type { Change } from '../../commands.ts'
import { Refusal } from '../../edits.ts'
import type { Model } from '../../lens.ts'
import { addState, addTransition } from '../../machineCommands.ts'
import type { Machine } from '../../machines.ts'
import { model, perform, select, useModel } from '../documents.ts'
import { EditorDialog } from '../EditorDialog.tsx'
import { StateFields, stateOf, TransitionFields, transitionOf } from '../MachineForm.tsx'

export type Asked =
  | { what: 'state'; after: string | null }
  | { what: 'transition'; from: string | null; to: string | null }

export function MachineDialog({ machine, asked, onClose }: { machine: Machine; asked: Asked; onClose: () => void }) {
  const now = useModel()
  if (asked.what === 'state') {
    return (
      <Asking
        title="Add a state"
        make={(given) => addState(model(), stateOf(machine, given, asked.after))}
        onDone={(given) => select({ path: [...machine.path, 'states', given('name')] })}
        onClose={onClose}
      >
        <StateFields />
      </Asking>
    )
  }
  const { from, to } = asked
  return (
    <Asking
      title={from && to ? `From ${from} to ${to}` : 'Add a transition'}
      make={(given) => addTransition(model(), transitionOf(machine, given))}
      onDone={(given) => select({ path: [...machine.path, 'transitions', given('name')] })}
      onClose={onClose}
    >
      <TransitionFields model={now} machine={machine} from={from} to={to} name={to ? freeWay(machine, to) : ''} />
    </Asking>
  )
}

/** A name that no transition of the machine has. */
function freeWay({ transitions }: Machine, to: string): string {
  const taken = new Set(transitions.map(({ name }) => name))
  let name = `to_${to}`
  for (let number = 2; taken.has(name); number++) name = `to_${to}_${number}`
  return name
}

interface AskingProps {
  title: string
  make: (given: (key: string) => string) => Change
  onDone: (given: (key: string) => string) => void
  onClose: () => void
  children: ReactNode
}

/** Stays open, and says why, where it is refused. */
function Asking({ title, make, onDone, onClose, children }: AskingProps) {
  const [refusal, setRefusal] = useState('')
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const given = (key: string) => String(data.get(key) ?? '').trim()
    try {
      const made = make(given)
      perform((_: Model) => made)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      setRefusal(error.message)
      return
    }
    onDone(given)
    onClose()
  }
  return (
    <EditorDialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {refusal && (
          <p className="dialog-refusal" role="alert">
            {refusal}
          </p>
        )}
        <div className="editor-dialog-buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit">Add</button>
        </div>
      </form>
    </EditorDialog>
  )
}
