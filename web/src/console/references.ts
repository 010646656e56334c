/**
 * Every place of a config that gives a name to something or names something. Edges, pickers, renaming and "used by" all follow from this one
 * table, which a test holds against the schema of configs.
 */
import type { Path } from './source.ts'

/** What can be named. Two things of different kinds may have one name. */
export type Kind = 'module' | 'component' | 'resource' | 'workflow' | 'state' | 'transition'

/** A kind of place. */
export interface Place {
  /** Type of the module whose settings these are; none in the sections. */
  of?: string
  /** Keys from the top, or from the settings; `*` is any key or item. */
  at: string
  names: Kind
  /** Types of modules that fit. */
  types?: readonly string[]
  /** It gives the name. */
  defines?: true
  /** The key is the name, not the value. */
  key?: true
  /** States and transitions belong to a workflow: the key, of what is around, that names it; or the hooks of a step; or what is drawn from. */
  workflow?: 'name' | 'workflowType' | 'workflow' | 'hooks' | 'from'
  /** A component may be named by its `componentId`. */
  alias?: true
  /** An engine may be named as well as a workflow. */
  engine?: true
  /** It may be an address elsewhere instead. */
  url?: true
}

const HANDLERS = ['auth.jwt', 'api.handler', 'http.simple_proxy', 'persistence.store'] as const
const MIDDLEWARES = [
  'http.middleware.cors',
  'http.middleware.requestid',
  'http.middleware.ratelimit',
  'http.middleware.auth',
] as const
const REACTIONS = ['processing.step', 'messaging.handler', 'dynamic.component', 'api.handler'] as const
export const BUSES = ['messaging.broker', 'messaging.kafka'] as const

const MACHINE = 'workflows/statemachine'
const DEFINITION = `${MACHINE}/definitions/*`

export const PLACES: readonly Place[] = [
  { at: 'modules/*/name', names: 'module', defines: true },
  { at: 'modules/*/dependsOn/*', names: 'module' },
  { of: 'api.handler', at: 'resourceName', names: 'resource', defines: true },
  { of: 'api.handler', at: 'workflowType', names: 'workflow' },
  { of: 'api.handler', at: 'workflowEngine', names: 'module', types: ['statemachine.engine'] },
  { of: 'api.handler', at: 'initialTransition', names: 'transition', workflow: 'workflowType' },
  { of: 'api.handler', at: 'actions/*/*', names: 'transition', workflow: 'workflowType' },
  { of: 'api.handler', at: 'actions/*/transitions/*', names: 'transition', workflow: 'workflowType' },
  { of: 'api.handler', at: 'perOwner/states/*', names: 'state', workflow: 'workflowType' },
  { of: 'api.handler', at: 'figures/states/*', names: 'state', workflow: 'workflowType' },
  { of: 'api.handler', at: 'pricing/catalogue', names: 'module', types: ['api.handler'], url: true },
  { of: 'api.handler', at: 'draws/from', names: 'module', types: ['api.handler'] },
  { of: 'api.handler', at: 'draws/while/*', names: 'state', workflow: 'from' },
  { of: 'api.handler', at: 'draws/fulfilled/*', names: 'state', workflow: 'from' },
  { of: 'api.handler', at: 'draws/emptied', names: 'transition', workflow: 'from' },
  { of: 'persistence.store', at: 'database', names: 'module', types: ['database.workflow'] },
  { of: 'dynamic.component', at: 'componentId', names: 'component', defines: true },
  { of: 'dynamic.component', at: 'capabilities/http/*/handler', names: 'module', types: ['api.handler'] },
  { of: 'processing.step', at: 'componentId', names: 'module', types: ['dynamic.component'], alias: true },
  { of: 'processing.step', at: 'successTransition', names: 'transition', workflow: 'hooks' },
  { of: 'processing.step', at: 'compensateTransition', names: 'transition', workflow: 'hooks' },
  { of: 'processing.step', at: 'rejectTransition', names: 'transition', workflow: 'hooks' },
  { of: 'messaging.handler', at: 'component', names: 'module', types: ['dynamic.component'], alias: true },
  { of: 'operator.api', at: 'server', names: 'module', types: ['http.server'] },
  { of: 'static.fileserver', at: 'rateLimit/limiter', names: 'module', types: ['http.middleware.ratelimit'] },
  { at: 'workflows/http/router', names: 'module', types: ['http.router'] },
  { at: 'workflows/http/server', names: 'module', types: ['http.server'] },
  { at: 'workflows/http/routes/*/handler', names: 'module', types: HANDLERS },
  { at: 'workflows/http/routes/*/middlewares/*', names: 'module', types: MIDDLEWARES },
  { at: `${MACHINE}/engine`, names: 'module', types: ['statemachine.engine'] },
  { at: `${MACHINE}/resourceMappings/*/resourceType`, names: 'resource' },
  { at: `${MACHINE}/resourceMappings/*/stateMachine`, names: 'workflow', engine: true },
  { at: `${DEFINITION}/name`, names: 'workflow', defines: true },
  { at: `${DEFINITION}/initialState`, names: 'state', workflow: 'name' },
  { at: `${DEFINITION}/states/*`, names: 'state', workflow: 'name', defines: true, key: true },
  { at: `${DEFINITION}/transitions/*`, names: 'transition', workflow: 'name', defines: true, key: true },
  { at: `${DEFINITION}/transitions/*/fromState`, names: 'state', workflow: 'name' },
  { at: `${DEFINITION}/transitions/*/toState`, names: 'state', workflow: 'name' },
  { at: `${DEFINITION}/transitions/*/exhausted`, names: 'transition', workflow: 'name' },
  { at: `${DEFINITION}/transitions/*/deadline/since`, names: 'state', workflow: 'name' },
  { at: `${MACHINE}/hooks/*/workflowType`, names: 'workflow' },
  { at: `${MACHINE}/hooks/*/transitions/*`, names: 'transition', workflow: 'workflowType' },
  { at: `${MACHINE}/hooks/*/fromStates/*`, names: 'state', workflow: 'workflowType' },
  { at: `${MACHINE}/hooks/*/toStates/*`, names: 'state', workflow: 'workflowType' },
  { at: `${MACHINE}/hooks/*/handler`, names: 'module', types: REACTIONS },
  { at: 'workflows/messaging/broker', names: 'module', types: BUSES },
  { at: 'workflows/messaging/subscriptions/*/handler', names: 'module', types: ['messaging.handler'] },
  { at: 'triggers/http/routes/*/workflow', names: 'workflow' },
  { at: 'triggers/http/routes/*/action', names: 'transition', workflow: 'workflow' },
  { at: 'triggers/event/subscriptions/*/workflow', names: 'workflow' },
  { at: 'triggers/event/subscriptions/*/action', names: 'transition', workflow: 'workflow' },
]

/** A name where it is written. */
export interface Name {
  place: Place
  kind: Kind
  name: string
  path: Path
  /** Of a state or transition: the workflow that it belongs to. */
  workflow: string | null
}

/** A part of a config whose shape is not known yet. */
export type Part = { readonly [key: string]: unknown }

/** What is there as a map; an empty one where there is something else. */
export function part(value: unknown): Part {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Part) : {}
}

/** What is there as a list; an empty one where there is something else. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** What is there as text; `undefined` where there is something else. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** What is at a path of a value. */
export function at(value: unknown, ...path: Path): unknown {
  return path.reduce<unknown>((inner, step) => (inner as Part | null | undefined)?.[step], value)
}

/** Every name of a config, with the sequence of the table. */
export function namesIn(config: unknown): Name[] {
  const steps = workflowsOfSteps(config)
  const aliases = new Set(list(at(config, 'modules')).flatMap((one) => aliasOf(one) ?? []))
  const engines = new Set(
    list(at(config, 'modules'))
      .filter((one) => at(one, 'type') === 'statemachine.engine')
      .map((one) => at(one, 'name')),
  )
  const kindOf = (place: Place, name: string): Kind => {
    if (place.alias && aliases.has(name)) return 'component'
    return place.engine && engines.has(name) ? 'module' : place.names
  }
  return PLACES.flatMap((place) =>
    found(config, place).flatMap(({ name, path, around }) => {
      const kind = kindOf(place, name)
      if (place.workflow !== 'hooks') return [{ place, kind, name, path, workflow: scope(config, place, around) }]
      const step = text(at(config, ...path.slice(0, 2), 'name')) ?? ''
      return (steps.get(step) ?? [null]).map((workflow) => ({ place, kind, name, path, workflow }))
    }),
  )
}

function aliasOf(module: unknown): string | undefined {
  return at(module, 'type') === 'dynamic.component' ? text(at(module, 'config', 'componentId')) : undefined
}

/** The workflows whose hooks start each step. */
function workflowsOfSteps(config: unknown): Map<string, string[]> {
  const workflows = new Map<string, string[]>()
  for (const hook of list(at(config, 'workflows', 'statemachine', 'hooks'))) {
    const [handler, workflow] = [text(at(hook, 'handler')), text(at(hook, 'workflowType'))]
    if (handler === undefined || workflow === undefined) continue
    const known = workflows.get(handler) ?? []
    if (!known.includes(workflow)) workflows.set(handler, [...known, workflow])
  }
  return workflows
}

interface Found {
  name: string
  path: Path
  /** What is around it, from the top. */
  around: unknown[]
}

function found(config: unknown, place: Place): Found[] {
  if (!place.of) return matching(config, place.at.split('/'), [], [], place)
  return list(at(config, 'modules')).flatMap((module, index) =>
    at(module, 'type') === place.of
      ? matching(at(module, 'config'), place.at.split('/'), ['modules', index, 'config'], [], place)
      : [],
  )
}

function matching(value: unknown, pattern: readonly string[], path: Path, around: unknown[], place: Place): Found[] {
  const [step, ...rest] = pattern
  if (step === undefined) {
    const name = place.key ? String(path.at(-1)) : text(value)
    return name === undefined ? [] : [{ name, path, around }]
  }
  if (value === null || typeof value !== 'object') return []
  const inside = [...around, value]
  if (step !== '*')
    return Object.hasOwn(value, step) ? matching((value as Part)[step], rest, [...path, step], inside, place) : []
  return Object.entries(value).flatMap(([key, item]) =>
    matching(item, rest, [...path, Array.isArray(value) ? Number(key) : key], inside, place),
  )
}

/** The workflow that the innermost of what is around names, itself or by the module that is drawn from. */
function scope(config: unknown, { workflow: key }: Place, around: unknown[]): string | null {
  if (!key) return null
  const holder = around.findLast((value) => text(part(value)[key]) !== undefined)
  const named = text(part(holder)[key]) ?? null
  if (key !== 'from') return named
  const drawn = list(at(config, 'modules')).find((module) => at(module, 'name') === named)
  return text(at(drawn, 'config', 'workflowType')) ?? null
}
