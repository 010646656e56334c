/** One module of a config, as it is shown. */
import { moduleType, type Role } from './moduleTypes.ts'
import { at, list, type Part, part, text } from './references.ts'
import type { Path, Range, Source } from './source.ts'

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
  /** Where another editor has drawn it; a hint for who draws it here, and never written. */
  drawnAt: { x: number; y: number } | null
  /** Why it can be edited as text only, in one sentence, or `null`. */
  flaw: string | null
}

/** The module at a position of `modules`. */
export function moduleOf(source: Source, module: unknown, index: number): Module {
  const path = ['modules', index]
  const type = text(at(module, 'type')) ?? ''
  const known = moduleType(type)
  const config = part(at(module, 'config'))
  const { from = 0, to = 0 } = source.entry(path) ?? {}
  return {
    name: text(at(module, 'name')) ?? '',
    type,
    label: known?.label ?? type,
    role: known?.role ?? 'other',
    known: known !== undefined,
    fact: factOf(type, config),
    config,
    dependsOn: list(at(module, 'dependsOn')).flatMap((name) => text(name) ?? []),
    path,
    drawnAt: drawnAt(at(module, 'ui_position')),
    flaw: source.flaw(path),
    from,
    to,
  }
}

function drawnAt(written: unknown): Module['drawnAt'] {
  const { x, y } = part(written)
  return typeof x === 'number' && typeof y === 'number' ? { x, y } : null
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
