/** Forms for state machines: new machines, states and transitions, and their names. */
import './MachineForm.css'
import { type FormEvent, type ReactNode, useState } from 'react'
import { Link } from '../../shared/router'
import { type Change, setValue } from '../commands.ts'
import { Refusal } from '../edits.ts'
import type { Model } from '../lens.ts'
import {
  addMachine,
  addState,
  addTransition,
  dropComponent,
  type NewMaker,
  type NewState as NewStateGiven,
  type NewTransition as Wanted,
} from '../machineCommands.ts'
import type { Machine } from '../machines.ts'
import { rename } from '../rename.ts'
import type { Path } from '../source.ts'
import { perform, select } from './documents.ts'
import { machinePath } from './machine/address.ts'
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
      {state && <RunComponent model={model} machine={machine} state={state} />}
      {state && <MakeInitial machine={machine} state={state} />}
      <Link className="machine-note" to={machinePath(machine.name)}>
        Show the machine as a drawing or a table
      </Link>
    </>
  )
}

interface AddProps {
  title: string
  make: (given: (key: string) => string) => (now: Model) => Change
  /** Whether nobody makes a second one: the form closes, so that it does not seem to wait for something. */
  isOnce?: boolean
  children: ReactNode
}

/** A small form that makes something. It is empty again when that is made. */
function Add({ title, make, isOnce = false, children }: AddProps) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const data = new FormData(form)
    const made = perform(make((key) => String(data.get(key) ?? '').trim()))
    if (made) form.reset()
    const details = form.closest('details')
    if (!made || !isOnce || !details) return
    details.open = false
    details.querySelector('summary')?.focus()
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

function Text({ name, label, value }: { name: string; label: string; value?: string | undefined }) {
  return (
    <label className="setting">
      <span className="setting-label">{label}</span>
      <input name={name} className="setting-input" defaultValue={value} autoComplete="off" spellCheck={false} />
    </label>
  )
}

interface SelectProps {
  name: string
  label: string
  options: readonly string[]
  value?: string | null
  /** What is shown until one is chosen, where none of them is meant unless somebody says so. */
  unchosen?: string
}

function Select({ name, label, options, value, unchosen }: SelectProps) {
  return (
    <label className="setting">
      <span className="setting-label">{label}</span>
      <select name={name} className="setting-input" defaultValue={value ?? undefined} required={unchosen !== undefined}>
        {unchosen !== undefined && <option value="">{unchosen}</option>}
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
  const make = (given: (key: string) => string) => (now: Model) => addState(now, stateOf(machine, given, after))
  return (
    <Add title="Add a state" make={make}>
      <StateFields />
    </Add>
  )
}

/** What is asked of a new state. */
export function StateFields() {
  return (
    <>
      <Text name="name" label="State name" />
      <Text name="description" label="Description" />
      <Select name="kind" label="Kind" options={KINDS} />
    </>
  )
}

/** The state that those fields describe. */
export function stateOf(machine: Machine, given: (key: string) => string, after: string | null): NewStateGiven {
  const kind = given('kind')
  return {
    workflow: machine.name,
    name: given('name'),
    ...(given('description') ? { description: given('description') } : {}),
    isFinal: kind !== KINDS[0],
    isError: kind === KINDS[2],
    ...(after ? { after } : {}),
  }
}

const MAKERS = {
  'nobody yet': 'nobody yet',
  'at once, by itself': 'automatic',
  'a timer': 'timer',
  'an action of a handler': 'action',
  'an event': 'event',
  'a step that accepts': 'success',
  'a step that refuses or fails': 'compensate',
} as const
type MakerWord = keyof typeof MAKERS

function NewTransition({ model, machine, from }: { model: Model; machine: Machine; from: string | null }) {
  return (
    <Add title="Add a transition" make={(given) => (now) => addTransition(now, transitionOf(machine, given))}>
      <TransitionFields model={model} machine={machine} from={from} />
    </Add>
  )
}

interface TransitionProps {
  model: Model
  machine: Machine
  from: string | null
  to?: string | null
  name?: string
}

/** What is asked of a new transition. */
export function TransitionFields({ model, machine, from, to = null, name }: TransitionProps) {
  const [maker, setMaker] = useState<MakerWord>('nobody yet')
  const states = machine.states.map((state) => state.name)
  const named = (type: string) => model.modules.filter((module) => module.type === type).map((module) => module.name)
  return (
    <>
      <Text name="name" label="Transition name" value={name} />
      <Select key={`from ${from}`} name="from" label="From" options={states} value={from} unchosen="Choose a state" />
      <Select key={`to ${to}`} name="to" label="To" options={states} value={to} unchosen="Choose a state" />
      <label className="setting">
        <span className="setting-label">Made by</span>
        <select
          name="maker"
          className="setting-input"
          value={maker}
          onChange={({ target }) => setMaker(target.value as MakerWord)}
        >
          {Object.keys(MAKERS).map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      {maker === 'a timer' && (
        <>
          <Text name="after" label="After, such as 10m" />
          <Text name="maxAttempts" label="Times at most; without end if empty" />
          <Select
            name="exhausted"
            label="Then make, once these are used up"
            options={['', ...machine.transitions.map((one) => one.name)]}
          />
        </>
      )}
      {maker === 'an action of a handler' && (
        <>
          <Select name="handler" label="Handler" options={named('api.handler')} />
          <Text name="action" label="Action" />
        </>
      )}
      {maker === 'an event' && (
        <>
          <Text name="topic" label="Topic" />
          <Text name="event" label="Event" />
        </>
      )}
      {maker.startsWith('a step') && <Select name="step" label="Step" options={named('processing.step')} />}
    </>
  )
}

/** The transition that those fields describe. */
export function transitionOf(machine: Machine, given: (key: string) => string): Wanted {
  const maker = makerOf(MAKERS[given('maker') as MakerWord], given)
  return { workflow: machine.name, name: given('name'), from: given('from'), to: given('to'), maker }
}

/** A time as the schema has it, or a variable that holds one. */
const DURATION = /^(?=.*[1-9])(?:[0-9]{1,9}(?:ms|[smhd])){1,5}$|\$\{/

function makerOf(by: (typeof MAKERS)[MakerWord], given: (key: string) => string): NewMaker {
  if (by === 'timer') {
    const [most, exhausted] = [given('maxAttempts'), given('exhausted')]
    const number = Number(most)
    if (most !== '' && !(Number.isInteger(number) && number > 0)) {
      throw new Refusal(`\`${most}\` is no number of times. Accepted is a whole number from 1.`)
    }
    const after = given('after')
    if (!DURATION.test(after))
      throw new Refusal(`\`${after}\` is no time. Accepted is one such as 500ms, 15s, 10m or 24h.`)
    return { by, after, ...(most ? { maxAttempts: number } : {}), ...(exhausted ? { exhausted } : {}) }
  }
  if (by === 'action') return { by, handler: given('handler'), action: given('action') }
  if (by === 'event') return { by, topic: given('topic'), event: given('event') }
  if (by === 'success' || by === 'compensate') return { by: 'step', step: given('step'), outcome: by }
  return { by }
}

const ON_ITS_OWN = 'as it follows'

/** Makes a state one that waits for a component: what a drop of it on the drawing does. */
function RunComponent({ model, machine, state }: { model: Model; machine: Machine; state: string }) {
  const components = model.modules.filter(({ type }) => type === 'dynamic.component').map(({ name }) => name)
  if (components.length === 0 || machine.states.some(({ name, isFinal }) => name === state && isFinal)) return null
  const states = [ON_ITS_OWN, ...machine.states.map(({ name }) => name).filter((name) => name !== state)]
  const make = (given: (key: string) => string) => (now: Model) => {
    const to = (key: string) => (given(key) === ON_ITS_OWN ? {} : { [key]: { to: given(key) } })
    return dropComponent(now, {
      workflow: machine.name,
      state,
      component: given('component'),
      ...to('success'),
      ...to('compensate'),
    })
  }
  return (
    <Add title="Run a component here" make={make} isOnce>
      <Select name="component" label="Component" options={components} />
      <Select name="success" label="Where it accepts, go to" options={states} />
      <Select name="compensate" label="Where it refuses or fails, go to" options={states} />
    </Add>
  )
}

function MakeInitial({ machine, state }: { machine: Machine; state: string }) {
  if (machine.initial === state) return <p className="machine-note">The state of a new instance.</p>
  const make = () => perform((now) => setValue(now, [...machine.path, 'initialState'], state))
  return (
    <button type="button" className="text-button machine-note" onClick={make}>
      Make it the state of a new instance
    </button>
  )
}
