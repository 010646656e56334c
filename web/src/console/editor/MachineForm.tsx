/** Forms for state machines: new machines, states and transitions, and their names. */
import './MachineForm.css'
import { type FormEvent, type ReactNode, useState } from 'react'
import type { Change } from '../commands.ts'
import type { Model } from '../lens.ts'
import { addMachine, addState, addTransition, type NewMaker } from '../machineCommands.ts'
import type { Machine } from '../machines.ts'
import { rename } from '../rename.ts'
import type { Path } from '../source.ts'
import { perform, select } from './documents.ts'
import { TypedInput } from './TypedInput.tsx'

/** The machine that a path is in, and what of it the path is. */
function machineAt(
  { machines }: Model,
  path: Path,
): { machine: Machine; part: 'machine' | 'state' | 'transition' } | null {
  const machine = machines.find((one) => one.path.every((step, index) => step === path[index]))
  if (!machine) return null
  const kind = path[machine.path.length]
  const part = kind === undefined ? 'machine' : kind === 'states' ? 'state' : 'transition'
  return { machine, part }
}

/** A state's or a transition's name is a key: another one is a renaming, everywhere. */
export function MachineName({ model, path }: { model: Model; path: Path }) {
  const found = machineAt(model, path)
  if (!found || found.part === 'machine') return null
  const { machine, part } = found
  const name = String(path.at(-1))
  const write = (to: string) => {
    const made = perform((now) => rename(now, { kind: part, name, workflow: machine.name }, to), { typed: true })
    if (made) select({ path: [...path.slice(0, -1), to] })
    return made !== null
  }
  return (
    <label className="setting">
      <span className="setting-label">Name</span>
      <TypedInput value={name} write={write} />
    </label>
  )
}

/** What can be added to a machine, or to a state of it. */
export function MachineParts({ model, path }: { model: Model; path: Path }) {
  const found = machineAt(model, path)
  if (!found || found.part === 'transition') return null
  const { machine, part } = found
  const state = part === 'state' ? String(path.at(-1)) : null
  return (
    <>
      <NewState machine={machine} after={state} />
      <NewTransition model={model} machine={machine} from={state} />
    </>
  )
}

interface AddProps {
  title: string
  make: (given: (key: string) => string) => (now: Model) => Change
  children: ReactNode
}

/** A small form that makes something. It is empty again when that is made. */
function Add({ title, make, children }: AddProps) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const data = new FormData(form)
    if (perform(make((key) => String(data.get(key) ?? '').trim()))) form.reset()
  }
  return (
    <details className="machine-add">
      <summary>{title}</summary>
      <form onSubmit={submit}>
        {children}
        <button type="submit">Add</button>
      </form>
    </details>
  )
}

function Text({ name, label }: { name: string; label: string }) {
  return (
    <label className="setting">
      <span className="setting-label">{label}</span>
      <input name={name} className="setting-input" autoComplete="off" spellCheck={false} />
    </label>
  )
}

function Select({
  name,
  label,
  options,
  value,
}: {
  name: string
  label: string
  options: readonly string[]
  value?: string | null
}) {
  return (
    <label className="setting">
      <span className="setting-label">{label}</span>
      <select name={name} className="setting-input" defaultValue={value ?? undefined}>
        {options.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  )
}

export function NewMachine() {
  return (
    <Add title="Add a machine" make={(given) => (now) => addMachine(now, given('name'))}>
      <Text name="name" label="Machine name" />
    </Add>
  )
}

const KINDS = ['goes on', 'final', 'final, a failure'] as const

function NewState({ machine, after }: { machine: Machine; after: string | null }) {
  const make = (given: (key: string) => string) => (now: Model) => {
    const kind = given('kind')
    return addState(now, {
      workflow: machine.name,
      name: given('name'),
      ...(given('description') ? { description: given('description') } : {}),
      isFinal: kind !== KINDS[0],
      isError: kind === KINDS[2],
      ...(after ? { after } : {}),
    })
  }
  return (
    <Add title="Add a state" make={make}>
      <Text name="name" label="State name" />
      <Text name="description" label="Description" />
      <Select name="kind" label="Kind" options={KINDS} />
    </Add>
  )
}

const MAKERS = {
  'nobody yet': 'nobody yet',
  'at once, by itself': 'automatic',
  'a timer': 'timer',
  'an action of a handler': 'action',
  'an event': 'event',
} as const
type MakerWord = keyof typeof MAKERS

function NewTransition({ model, machine, from }: { model: Model; machine: Machine; from: string | null }) {
  const [maker, setMaker] = useState<MakerWord>('nobody yet')
  const states = machine.states.map(({ name }) => name)
  const handlers = model.modules.filter(({ type }) => type === 'api.handler').map(({ name }) => name)
  const make = (given: (key: string) => string) => (now: Model) =>
    addTransition(now, {
      workflow: machine.name,
      name: given('name'),
      from: given('from'),
      to: given('to'),
      maker: makerOf(MAKERS[maker], given),
    })
  return (
    <Add title="Add a transition" make={make}>
      <Text name="name" label="Transition name" />
      <Select name="from" label="From" options={states} value={from} />
      <Select name="to" label="To" options={states} />
      <label className="setting">
        <span className="setting-label">Made by</span>
        <select className="setting-input" value={maker} onChange={({ target }) => setMaker(target.value as MakerWord)}>
          {Object.keys(MAKERS).map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      {maker === 'a timer' && <Text name="after" label="After, such as 10m" />}
      {maker === 'an action of a handler' && (
        <>
          <Select name="handler" label="Handler" options={handlers} />
          <Text name="action" label="Action" />
        </>
      )}
      {maker === 'an event' && (
        <>
          <Text name="topic" label="Topic" />
          <Text name="event" label="Event" />
        </>
      )}
    </Add>
  )
}

function makerOf(by: (typeof MAKERS)[MakerWord], given: (key: string) => string): NewMaker {
  if (by === 'timer') return { by, after: given('after') }
  if (by === 'action') return { by, handler: given('handler'), action: given('action') }
  if (by === 'event') return { by, topic: given('topic'), event: given('event') }
  return { by }
}
