/** State machines, as a config says them: who makes each transition is told in several places, and gathered here. */
import { at, list, type Name, part, text } from './references.ts'
import type { Path } from './source.ts'

/** What of a step's answers makes a transition: `reject` and `failure` where a step tells these two apart, else `compensate` is both. */
export type StepOutcome = 'success' | 'compensate' | 'reject' | 'failure'

/** Who or what makes a transition. */
export type Maker =
  | { by: 'automatic' }
  | { by: 'timer'; after: string; maxAttempts: string | null; exhausted: string | null }
  | { by: 'deadline'; after: string; since: string }
  | { by: 'exhausted'; transition: string }
  | { by: 'step'; step: string; outcome: StepOutcome }
  | { by: 'event'; topic: string; event: string }
  | { by: 'request'; method: string; path: string }
  | { by: 'action'; handler: string; action: string }
  | { by: 'creation'; handler: string }

export interface Transition {
  name: string
  from: string
  to: string
  path: Path
  makers: Maker[]
}

export interface State {
  name: string
  description: string
  isFinal: boolean
  isError: boolean
  path: Path
  /** The step whose answer leads out of it. */
  awaits: string | null
}

export interface Machine {
  name: string
  initial: string
  path: Path
  states: State[]
  transitions: Transition[]
}

/** A hook, as it is written. */
interface Hook {
  handler: string
  workflow: string
  matches: (transition: Pick<Transition, 'name' | 'from' | 'to'>) => boolean
}

const DEFINITIONS = ['workflows', 'statemachine', 'definitions'] as const

/** The machines of a config, in the sequence written. */
export function machinesOf(config: unknown, names: readonly Name[]): Machine[] {
  const makers = makersOf(config, names)
  const steps = new Set(modulesOf(config, 'processing.step').map(({ name }) => name))
  const hooks = hooksOf(config).filter(({ handler }) => steps.has(handler))
  return list(at(config, ...DEFINITIONS)).map((definition, index) => {
    const path = [...DEFINITIONS, index]
    const name = text(at(definition, 'name')) ?? ''
    const transitions = Object.entries(part(at(definition, 'transitions'))).map(([own, written]) => ({
      name: own,
      from: text(at(written, 'fromState')) ?? '',
      to: text(at(written, 'toState')) ?? '',
      path: [...path, 'transitions', own],
      makers: [...ownMakers(written), ...(makers.get(`${name}/${own}`) ?? [])],
    }))
    const awaited = new Map<string, string>()
    for (const hook of hooks.filter(({ workflow }) => workflow === name)) {
      for (const transition of transitions) if (hook.matches(transition)) awaited.set(transition.to, hook.handler)
    }
    const states = Object.entries(part(at(definition, 'states'))).map(([own, written]) => ({
      name: own,
      description: text(at(written, 'description')) ?? '',
      isFinal: at(written, 'isFinal') === true,
      isError: at(written, 'isError') === true,
      path: [...path, 'states', own],
      awaits: awaited.get(own) ?? null,
    }))
    return { name, initial: text(at(definition, 'initialState')) ?? '', path, states, transitions }
  })
}

/** Name, settings and place of the modules of one type. */
export function modulesOf(config: unknown, type: string): { name: string; config: unknown; path: Path }[] {
  return list(at(config, 'modules')).flatMap((module, index) => {
    const name = text(at(module, 'name'))
    return at(module, 'type') === type && name !== undefined
      ? [{ name, config: at(module, 'config'), path: ['modules', index] }]
      : []
  })
}

/** What is written at the transition itself. */
function ownMakers(transition: unknown): Maker[] {
  const makers: Maker[] = []
  const told = (key: string) => (at(transition, key) == null ? null : String(at(transition, key)))
  if (at(transition, 'autoTransform') === true) makers.push({ by: 'automatic' })
  const after = told('after')
  if (after) makers.push({ by: 'timer', after, maxAttempts: told('maxAttempts'), exhausted: told('exhausted') })
  const deadline = part(at(transition, 'deadline'))
  if (deadline.after != null)
    makers.push({ by: 'deadline', after: String(deadline.after), since: text(deadline.since) ?? '' })
  return makers
}

/** What is written elsewhere, by workflow and transition. */
function makersOf(config: unknown, names: readonly Name[]): Map<string, Maker[]> {
  const found = new Map<string, Maker[]>()
  for (const { kind, name, workflow, path, place } of names) {
    if (kind !== 'transition' || place.defines) continue
    const maker = makerAt(config, path)
    if (maker) found.set(`${workflow}/${name}`, [...(found.get(`${workflow}/${name}`) ?? []), maker])
  }
  return found
}

/** Who makes the transition that is named at this path. */
function makerAt(config: unknown, path: Path): Maker | null {
  const [top, second, third] = path
  if (top === 'modules') return makerIn(at(config, 'modules', Number(second)), path)
  if (path.at(-1) === 'exhausted') return { by: 'exhausted', transition: String(path.at(-2)) }
  if (top !== 'triggers') return null
  const trigger = at(config, ...path.slice(0, -1))
  const told = (key: string) => text(at(trigger, key)) ?? ''
  if (second === 'event') return { by: 'event', topic: told('topic'), event: told('event') }
  return third === 'routes' ? { by: 'request', method: told('method'), path: told('path') } : null
}

/** Who makes the transition that a module names. */
function makerIn(module: unknown, [, , , key, action]: Path): Maker | null {
  const name = text(at(module, 'name')) ?? ''
  switch (key) {
    case 'successTransition':
      return { by: 'step', step: name, outcome: 'success' }
    case 'rejectTransition':
      return { by: 'step', step: name, outcome: 'reject' }
    case 'compensateTransition': {
      const isApart = text(at(module, 'config', 'rejectTransition')) !== undefined
      return { by: 'step', step: name, outcome: isApart ? 'failure' : 'compensate' }
    }
    case 'initialTransition':
      return { by: 'creation', handler: name }
    default:
      return key === 'actions' ? { by: 'action', handler: name, action: String(action) } : null
  }
}

/** The hooks of a config. A hook matches when every list that it gives has the value. */
export function hooksOf(config: unknown): Hook[] {
  return list(at(config, 'workflows', 'statemachine', 'hooks')).map((hook) => {
    const given = (key: string, value: string) => {
      const wanted = list(at(hook, key))
      return wanted.length === 0 || wanted.includes(value)
    }
    return {
      handler: text(at(hook, 'handler')) ?? '',
      workflow: text(at(hook, 'workflowType')) ?? '',
      matches: ({ name, from, to }) => given('transitions', name) && given('fromStates', from) && given('toStates', to),
    }
  })
}
