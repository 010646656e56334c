/** Gestures on a state machine. */
import { type Change, change, freeName, type NewModule, writeModule } from './commands.ts'
import type { Draft } from './draft.ts'
import { Refusal } from './edits.ts'
import { type Model, machineNamed, moduleNamed } from './lens.ts'
import { hooksOf, type Machine, type State, type Transition } from './machines.ts'
import { stem } from './moduleTypes.ts'
import { at, list } from './references.ts'
import type { Value } from './style.ts'

const MACHINES = ['workflows', 'statemachine']
const HOOKS = ['workflows', 'statemachine', 'hooks']

function demandMachine(model: Model, workflow: string): Machine {
  const machine = machineNamed(model, workflow)
  if (!machine) throw new Refusal(`There is no workflow named \`${workflow}\`.`)
  return machine
}

function demandState(machine: Machine, name: string): State {
  const state = machine.states.find((one) => one.name === name)
  if (!state) throw new Refusal(`\`${machine.name}\` has no state \`${name}\`.`)
  return state
}

/** A new machine, of two states and the transition between them: a beginning that is valid as it is. */
export function addMachine(model: Model, name: string): Change {
  if (name.trim() === '') throw new Refusal('A workflow needs a name.')
  if (machineNamed(model, name)) throw new Refusal(`There is a workflow named \`${name}\` already.`)
  const engine = model.modules.find(({ type }) => type === 'statemachine.engine')?.name
  if (!engine) throw new Refusal('A workflow needs a State Machine, which runs it; add that first.')
  const states = { new: {}, done: { isFinal: true } }
  const definition = {
    name,
    initialState: 'new',
    states,
    transitions: { finish: { fromState: 'new', toState: 'done' } },
  }
  return change(model, `Add ${name}`, (draft) => {
    if (draft.source.entry(MACHINES)) draft.append([...MACHINES, 'definitions'], definition, ['engine'])
    else draft.put(MACHINES, { engine, definitions: [definition] }, ['http'])
  })
}

/** What is given of a new state. */
export interface NewState {
  workflow: string
  name: string
  description?: string
  isFinal?: boolean
  isError?: boolean
  /** The state that it is written after; the last one if not given. */
  after?: string
}

/** A new state. */
export function addState(model: Model, given: NewState): Change {
  const machine = demandMachine(model, given.workflow)
  return change(model, `Add ${given.name}`, (draft) => writeState(draft, machine, given))
}

function writeState(draft: Draft, machine: Machine, given: Omit<NewState, 'workflow'>): void {
  const { name, description, isFinal, isError, after } = given
  if (name.trim() === '') throw new Refusal('A state needs a name.')
  if (machine.states.some((state) => state.name === name)) throw new Refusal(`There is a state \`${name}\` already.`)
  const state: { [key: string]: Value } = {}
  if (description) state.description = description
  if (isFinal) state.isFinal = true
  if (isError) state.isError = true
  draft.put([...machine.path, 'states', name], state, after ? [after] : [])
}

/** Who makes a new transition. */
export type NewMaker =
  | { by: 'nobody yet' }
  | { by: 'automatic' }
  | { by: 'timer'; after: string; maxAttempts?: number; exhausted?: string }
  | { by: 'action'; handler: string; action: string }
  | { by: 'event'; topic: string; event: string }
  | { by: 'step'; step: string; outcome: 'success' | 'compensate' }

/** What is given of a new transition. */
export interface NewTransition {
  workflow: string
  name: string
  from: string
  to: string
  maker: NewMaker
}

/** A new transition, with what makes it, wherever that is written. */
export function addTransition(model: Model, { workflow, name, from, to, maker }: NewTransition): Change {
  const machine = demandMachine(model, workflow)
  demandState(machine, to)
  if (demandState(machine, from).isFinal) throw new Refusal(`\`${from}\` is final: nothing leaves it.`)
  return change(model, `Add ${name}`, (draft) => {
    writeTransition(draft, machine, { name, from, to, ...atTransition(maker) })
    writeMaker(model, draft, maker, workflow, name)
  })
}

function atTransition(maker: NewMaker): { [key: string]: Value } {
  if (maker.by === 'automatic') return { autoTransform: true }
  if (maker.by !== 'timer') return {}
  const { after, maxAttempts, exhausted } = maker
  return {
    after,
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(exhausted === undefined ? {} : { exhausted }),
  }
}

function writeMaker(model: Model, draft: Draft, maker: NewMaker, workflow: string, name: string): void {
  if (maker.by === 'event') {
    const { topic, event } = maker
    draft.append(['triggers', 'event', 'subscriptions'], { topic, event, workflow, action: name }, ['http'])
  }
  if (maker.by !== 'action' && maker.by !== 'step') return
  const module = moduleNamed(model, maker.by === 'action' ? maker.handler : maker.step)
  if (!module) throw new Refusal(`There is no module named \`${maker.by === 'action' ? maker.handler : maker.step}\`.`)
  if (maker.by === 'action') {
    const action = [...module.path, 'config', 'actions', maker.action]
    // With roles it is a map that has the list.
    draft.append(
      Array.isArray(at(model.source.value, ...action, 'transitions')) ? [...action, 'transitions'] : action,
      name,
    )
  }
  if (maker.by === 'step') draft.put([...module.path, 'config', `${maker.outcome}Transition`], name)
}

function writeTransition(
  draft: Draft,
  machine: Machine,
  given: { name: string; from: string; to: string; [key: string]: Value },
): void {
  const { name, from, to, ...rest } = given
  if (name.trim() === '') throw new Refusal('A transition needs a name.')
  if (machine.transitions.some((one) => one.name === name))
    throw new Refusal(`There is a transition \`${name}\` already.`)
  const beside =
    machine.transitions.findLast((one) => one.from === from) ?? machine.transitions.findLast((one) => one.to === from)
  const transition = { fromState: from, toState: to, ...rest }
  draft.put([...machine.path, 'transitions', name], transition, beside ? [beside.name] : [])
}

/** A component that is dropped on a state. */
export interface Drop {
  workflow: string
  state: string
  /** A component of the config, or a new one: its file, and what else its settings say. */
  component: string | { name: string; config: { source: string; [key: string]: Value } }
  /** Name and settings of the step that runs it. */
  step?: { name?: string; config?: { [key: string]: Value } }
  /** Where its answers lead: transitions and states, which are made if they are not there. */
  success?: Outcome
  compensate?: Outcome
}
export interface Outcome {
  transition?: string
  to?: string
  /** Of the state, if it is made. */
  description?: string
}

/**
 * Makes a state one that waits for a component's answer: writes the step, the hook that starts it whenever the state is entered, and the
 * transitions that its answers make. A state that is left at once keeps its name and waits now: what left it leaves a new state, which
 * success leads to.
 */
export function dropComponent(model: Model, drop: Drop): Change & { step: string } {
  const machine = demandMachine(model, drop.workflow)
  const plan = planned(model, machine, drop)
  const made = change(model, `Run ${plan.component} in ${drop.state}`, (draft) => {
    if (typeof drop.component !== 'string') writeModule(model, draft, { ...drop.component, type: 'dynamic.component' })
    writeModule(model, draft, stepOf(model, drop, plan))
    for (const outcome of [plan.success, plan.compensate]) writeOutcome(draft, machine, drop.state, outcome)
    if (plan.leaving) draft.set([...plan.leaving.path, 'fromState'], plan.success.to)
    writeHook(model, draft, drop, plan.step)
  })
  return { ...made, step: plan.step }
}

/** Everything that a drop decides before anything is written. */
interface Planned {
  component: string
  step: string
  success: Required<Outcome> & { isFinal: boolean }
  compensate: Required<Outcome> & { isFinal: boolean }
  /** The automatic transition that leaves the state so far. */
  leaving: Transition | undefined
}

function planned(model: Model, machine: Machine, drop: Drop): Planned {
  const state = demandState(machine, drop.state)
  if (state.isFinal) throw new Refusal(`\`${state.name}\` is final: nothing leaves it.`)
  if (state.awaits)
    throw new Refusal(`\`${state.name}\` waits for the step \`${state.awaits}\` already; one step at a time.`)
  if (!machine.transitions.some(({ to }) => to === state.name)) {
    throw new Refusal(`No transition leads to \`${state.name}\`, so nothing would start the step.`)
  }
  const component = typeof drop.component === 'string' ? drop.component : drop.component.name
  if (typeof drop.component === 'string' && moduleNamed(model, component)?.type !== 'dynamic.component') {
    throw new Refusal(`\`${component}\` is not a component.`)
  }
  demandNoEscape(machine, state.name)
  const word = stem(component)
  const step = drop.step?.name ?? freeName(model, 'processing.step', `step-${word.replaceAll('_', '-')}`)
  const leaving = machine.transitions.find(
    (one) => one.from === state.name && one.makers.some(({ by }) => by === 'automatic'),
  )
  const success = { transition: `${word}_passed`, description: `Accepted by ${step}`, ...drop.success, isFinal: false }
  const compensate = {
    transition: `${word}_failed`,
    description: `Rejected by ${step}`,
    ...drop.compensate,
    isFinal: true,
  }
  const to = success.to ?? (leaving ? `${word}_passed` : onlyWayOn(machine, state))
  if (leaving && machine.states.some(({ name }) => name === to)) {
    throw new Refusal(
      `\`${leaving.name}\` leaves \`${state.name}\` at once; let success lead to a new state, which it leaves then.`,
    )
  }
  return {
    component,
    step,
    leaving,
    success: { ...success, to },
    compensate: { ...compensate, to: compensate.to ?? failureOf(machine) },
  }
}

/** A timer that is used up must not lead out of the state at once: the answer would be lost. */
function demandNoEscape(machine: Machine, state: string): void {
  for (const { name, from, makers } of machine.transitions) {
    const timer = makers.find((maker) => maker.by === 'timer')
    const last = machine.transitions.find((one) => one.name === timer?.exhausted)
    if (from === state && last?.from === state) {
      throw new Refusal(
        `\`${last.name}\` leaves \`${state}\` at once when \`${name}\` is used up; wait in another state.`,
      )
    }
  }
}

/** Where the state leads today, if that is one place. */
function onlyWayOn(machine: Machine, state: State): string {
  const targets = new Set(machine.transitions.filter(({ from }) => from === state.name).map(({ to }) => to))
  const on = machine.states.filter(({ name, isFinal, isError }) => targets.has(name) && !isFinal && !isError)
  if (on.length === 1 && on[0]) return on[0].name
  throw new Refusal(
    `Say where success leads from \`${state.name}\`: to one of ${machine.states.map(({ name }) => name).join(', ')}, or to a new state.`,
  )
}

/** The state for what has failed for good, if there is one. */
function failureOf(machine: Machine): string {
  const failures = machine.states.filter(({ isFinal, isError }) => isFinal && isError)
  if (failures.length > 1) {
    throw new Refusal(
      `Say where a rejection leads: to ${failures.map(({ name }) => name).join(' or ')}, or to a new state.`,
    )
  }
  return failures[0]?.name ?? 'failed'
}

function stepOf(
  model: Model,
  drop: Drop,
  { component, step, success, compensate }: Planned,
): NewModule & { name: string } {
  const engine = model.modules.find(({ type }) => type === 'statemachine.engine')?.name
  const config = {
    componentId: component,
    successTransition: success.transition,
    compensateTransition: compensate.transition,
    ...drop.step?.config,
  }
  return { type: 'processing.step', name: step, config, dependsOn: [component, ...(engine ? [engine] : [])] }
}

/** The transition that an answer makes and the state that it leads to, unless they are there. */
function writeOutcome(draft: Draft, machine: Machine, state: string, outcome: Planned['success']): void {
  const { transition, to, description, isFinal } = outcome
  if (!machine.states.some(({ name }) => name === to)) {
    const described = machine.states.filter((one) => one.description !== '').length * 2 > machine.states.length
    const more = isFinal ? { isFinal: true, isError: true } : { after: state }
    writeState(draft, machine, { name: to, ...(described ? { description } : {}), ...more })
  }
  const there = machine.transitions.find(({ name }) => name === transition)
  if (!there) writeTransition(draft, machine, { name: transition, from: state, to })
  else if (there.from !== state || there.to !== to) {
    throw new Refusal(`\`${transition}\` leads from \`${there.from}\` to \`${there.to}\` already; choose another name.`)
  }
}

/** After the hooks of other steps. It names the state, not transitions: whatever enters it later starts the step as well. */
function writeHook(model: Model, draft: Draft, { workflow, state }: Drop, step: string): void {
  const config = model.source.value
  const last = hooksOf(config).findLastIndex((hook) => moduleNamed(model, hook.handler)?.type === 'processing.step')
  const hook = { workflowType: workflow, toStates: [state], handler: step }
  if (list(at(config, ...HOOKS)).length > 0) draft.insertItem(HOOKS, last < 0 ? draft.length(HOOKS) : last + 1, hook)
  else draft.append(HOOKS, hook)
}
