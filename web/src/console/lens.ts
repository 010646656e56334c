/** A text, seen as modules, edges, machines, routes and an outline. Nothing of this is stored: the text is the only truth. */
import { sourceOf } from './draft.ts'
import { type Edge, edgesOf, type Route, routesOf } from './edges.ts'
import { type Machine, machinesOf } from './machines.ts'
import { moduleType, type Role } from './moduleTypes.ts'
import { type OutlineItem, outlineOf } from './outline.ts'
import { text as asText, at, list, type Name, namesIn, type Part, part } from './references.ts'
import type { Path, Problem, Range, Source } from './source.ts'

export interface Module extends Range {
  name: string
  type: string
  /** What people call its type: the type itself where this host does not know it. */
  label: string
  role: Role
  /** Whether this host has modules of its type. One that it does not know is shown, and edited as text. */
  known: boolean
  /** The one thing to know of it: its address, its topic, its file. */
  fact: string
  config: Part
  dependsOn: string[]
  path: Path
  /** Why it can be edited as text only, in one sentence, or `null`. */
  flaw: string | null
}

export interface Model {
  source: Source
  /** Why the text can be edited as text only, in one sentence, or `null`. */
  readOnly: string | null
  problems: Problem[]
  modules: Module[]
  /** Every name that the text gives or uses. */
  names: Name[]
  edges: Edge[]
  machines: Machine[]
  routes: Route[]
  outline: OutlineItem[]
}

const models = new WeakMap<Source, Model>()

/** What a text says. The same text again costs nothing. */
export function lens(text: string): Model {
  const source = sourceOf(text)
  let model = models.get(source)
  if (!model) {
    model = modelOf(source)
    models.set(source, model)
  }
  return model
}

function modelOf(source: Source): Model {
  const config = source.value
  const names = namesIn(config)
  const modules = list(at(config, 'modules')).map((module, index) => moduleOf(source, module, index))
  const [machines, routes] = [machinesOf(config, names), routesOf(config)]
  return {
    source,
    readOnly: source.readOnly,
    problems: source.problems,
    modules,
    names,
    edges: edgesOf(config, names),
    machines,
    routes,
    outline: outlineOf(config, modules, machines, routes),
  }
}

function moduleOf(source: Source, module: unknown, index: number): Module {
  const path = ['modules', index]
  const type = asText(at(module, 'type')) ?? ''
  const known = moduleType(type)
  const config = part(at(module, 'config'))
  const { from = 0, to = 0 } = source.entry(path) ?? {}
  return {
    name: asText(at(module, 'name')) ?? '',
    type,
    label: known?.label ?? type,
    role: known?.role ?? 'other',
    known: known !== undefined,
    fact: factOf(type, config),
    config,
    dependsOn: list(at(module, 'dependsOn')).flatMap((name) => asText(name) ?? []),
    path,
    flaw: source.flaw(path),
    from,
    to,
  }
}

const TELLING: Record<string, (config: Part) => unknown> = {
  'http.server': ({ address }) => address,
  'http.router': ({ prefix }) => prefix,
  'http.middleware.ratelimit': ({ requestsPerMinute }) => requestsPerMinute && `${requestsPerMinute} a minute`,
  'auth.jwt': ({ issuer }) => issuer,
  'api.handler': ({ resourceName, workflowType }) => (workflowType ? `${resourceName}, ${workflowType}` : resourceName),
  'database.workflow': ({ dsn }) => dsn,
  'persistence.store': ({ database }) => database,
  'dynamic.component': ({ source }) =>
    String(source ?? '')
      .split('/')
      .at(-1),
  'processing.step': ({ componentId }) => componentId,
  'messaging.kafka': ({ brokers }) => list(brokers).join(', '),
  'messaging.handler': ({ topic }) => topic,
  'static.fileserver': ({ root }) => root,
  'http.simple_proxy': ({ targets }) => Object.keys(part(targets)).join(', '),
  'metrics.collector': ({ namespace }) => namespace,
}

function factOf(type: string, config: Part): string {
  const fact = TELLING[type]?.(config)
  return fact === undefined || fact === null || typeof fact === 'object' ? '' : String(fact)
}

/** The module of that name. */
export function moduleNamed(model: Model, name: string): Module | undefined {
  return model.modules.find((module) => module.name === name)
}

/** The machine of that name. */
export function machineNamed(model: Model, name: string): Machine | undefined {
  return model.machines.find((machine) => machine.name === name)
}

/** Every place that names this module, and does not give it the name. */
export function usesOf(model: Model, module: string): Name[] {
  return model.names.filter(({ kind, name, place }) => kind === 'module' && name === module && !place.defines)
}
