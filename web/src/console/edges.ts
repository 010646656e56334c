/** What leads from one module to another. Edges follow from the names that a config gives, and are stored nowhere. */
import { at, BUSES, list, type Name, type Part, type Place, part, text } from './references.ts'
import type { Path } from './source.ts'

export type EdgeKind =
  | 'dependency'
  | 'workflow'
  | 'catalogue'
  | 'database'
  | 'grant'
  | 'component'
  | 'limit'
  | 'serves'
  | 'route'
  | 'hook'
  | 'subscription'
  | 'trigger'
  | 'proxy'

export interface Edge {
  /** Stays the same as long as the edge means the same. */
  id: string
  kind: EdgeKind
  from: string
  /** A module, or the address of something elsewhere. */
  to: string
  /** Where it is written; several places where it stands for several. */
  paths: Path[]
  /** What is told on it, a line for each. */
  labels: string[]
  /** The middlewares of a route, outermost first. */
  via: string[]
  /** Neither end is missing. */
  whole: boolean
}

/** What a name in the settings of a module means. `named first`: the edge comes from what is named. */
const OF_SETTINGS = new Map<string, EdgeKind>([
  ['workflowEngine', 'workflow'],
  ['pricing/catalogue', 'catalogue'],
  ['database', 'database'],
  ['capabilities/http/*/handler', 'grant'],
  ['componentId', 'component'],
  ['component', 'component'],
  ['rateLimit/limiter', 'limit'],
])

type Raw = Omit<Edge, 'id' | 'whole' | 'paths' | 'labels' | 'via'> & { path: Path; label?: string; via?: string[] }

/** All edges of a config. Those that say the same are one. */
export function edgesOf(config: unknown, names: readonly Name[]): Edge[] {
  const modules = list(at(config, 'modules'))
  const known = new Set(modules.map((module) => text(at(module, 'name'))))
  const found = new Map<string, Edge>()
  for (const { kind, from, to, path, label, via = [] } of [
    ...ofModules(config, names),
    ...ofServer(config),
    ...ofRoutes(config),
    ...ofProcess(config),
    ...ofProxies(modules),
  ]) {
    const id = [kind, from, ...via, to].join('>')
    const edge = found.get(id) ?? { id, kind, from, to, paths: [], labels: [], via, whole: true }
    edge.whole = known.has(from) && (known.has(to) || to.includes('://'))
    edge.paths.push(path)
    if (label !== undefined) edge.labels.push(label)
    found.set(id, edge)
  }
  return [...found.values()]
}

/** What modules say of each other. */
function ofModules(config: unknown, names: readonly Name[]): Raw[] {
  const aliases = new Map(
    names
      .filter(({ kind, place }) => kind === 'component' && place.defines)
      .map(({ name, path }) => [name, moduleAt(config, path)]),
  )
  const uses = names.filter(({ path, place }) => path[0] === 'modules' && !place.defines)
  return uses.flatMap(({ kind, name, path, place }): Raw[] => {
    const meaning = kindOf(place)
    if (!meaning || (kind !== 'module' && kind !== 'component')) return []
    const own = moduleAt(config, path)
    if (meaning === 'dependency') return [{ kind: meaning, from: name, to: own, path }]
    const to = kind === 'component' ? (aliases.get(name) ?? name) : name
    const service = text(at(config, ...path.slice(0, -1), 'service'))
    return [{ kind: meaning, from: own, to, path, ...(service === undefined ? {} : { label: service }) }]
  })
}

function kindOf({ of, at: where }: Place): EdgeKind | undefined {
  return of ? OF_SETTINGS.get(where) : 'dependency'
}

function moduleAt(config: unknown, path: Path): string {
  return text(at(config, 'modules', Number(path[1]), 'name')) ?? ''
}

function ofServer(config: unknown): Raw[] {
  const [server, router] = ['server', 'router'].map((key) => text(at(config, 'workflows', 'http', key)))
  if (server === undefined || router === undefined) return []
  return [{ kind: 'serves', from: server, to: router, path: ['workflows', 'http', 'router'] }]
}

/** One edge for each chain of middlewares and handler, with the routes that take it. */
function ofRoutes(config: unknown): Raw[] {
  const router = text(at(config, 'workflows', 'http', 'router')) ?? ''
  return routesOf(config).map(({ method, path: url, handler, middlewares, at: path }) => ({
    kind: 'route',
    from: router,
    to: handler,
    via: middlewares,
    path,
    label: `${method} ${url}`,
  }))
}

/** A route, as it is written. */
export interface Route {
  method: string
  path: string
  handler: string
  middlewares: string[]
  /** Where it is written. */
  at: Path
}

export function routesOf(config: unknown): Route[] {
  return list(at(config, 'workflows', 'http', 'routes')).map((route, index) => ({
    method: text(at(route, 'method')) ?? '',
    path: text(at(route, 'path')) ?? '',
    handler: text(at(route, 'handler')) ?? '',
    middlewares: list(at(route, 'middlewares')).flatMap((one) => text(one) ?? []),
    at: ['workflows', 'http', 'routes', index],
  }))
}

/** Hooks, subscriptions and triggers: what moves work. */
function ofProcess(config: unknown): Raw[] {
  const engine = text(at(config, 'workflows', 'statemachine', 'engine')) ?? ''
  const broker = text(at(config, 'workflows', 'messaging', 'broker')) ?? busOf(config)
  const each = (path: Path, edge: (entry: Part, own: Path) => Raw) =>
    list(at(config, ...path)).map((entry, index) => edge(part(entry), [...path, index]))
  const routes = new Map(routesOf(config).map(({ method, path, handler }) => [`${method} ${path}`, handler]))
  return [
    ...each(['workflows', 'statemachine', 'hooks'], (hook, path) => ({
      kind: 'hook',
      from: engine,
      to: text(hook.handler) ?? '',
      path,
      label: whenOf(hook),
    })),
    ...each(['workflows', 'messaging', 'subscriptions'], (subscription, path) => ({
      kind: 'subscription',
      from: broker,
      to: text(subscription.handler) ?? '',
      path,
      label: text(subscription.topic) ?? '',
    })),
    ...each(['triggers', 'http', 'routes'], (trigger, path) => ({
      kind: 'trigger',
      from: routes.get(`${text(trigger.method)} ${text(trigger.path)}`) ?? '',
      to: engine,
      path,
      label: `${text(trigger.method)} ${text(trigger.path)}: ${text(trigger.action)}`,
    })),
    ...each(['triggers', 'event', 'subscriptions'], (trigger, path) => ({
      kind: 'trigger',
      from: broker,
      to: engine,
      path,
      label: `${text(trigger.event)}: ${text(trigger.action)}`,
    })),
  ]
}

function busOf(config: unknown): string {
  const bus = list(at(config, 'modules')).find((module) => (BUSES as readonly unknown[]).includes(at(module, 'type')))
  return text(at(bus, 'name')) ?? ''
}

/** When a hook matches, in one line. */
function whenOf(hook: Part): string {
  const told = (key: string, word: string) => {
    const names = list(hook[key]).flatMap((one) => text(one) ?? [])
    return names.length > 0 ? [`${word} ${names.join(', ')}`] : []
  }
  return [...told('transitions', 'on'), ...told('fromStates', 'from'), ...told('toStates', 'into')].join(' ')
}

/** Proxies lead to addresses, which may be another process of the same shop. */
function ofProxies(modules: readonly unknown[]): Raw[] {
  return modules.flatMap((module, index) => {
    if (at(module, 'type') !== 'http.simple_proxy') return []
    const targets = Object.entries(part(at(module, 'config', 'targets')))
    return targets.flatMap(([prefix, urls]): Raw[] => {
      const path = ['modules', index, 'config', 'targets', prefix]
      const each = Array.isArray(urls)
        ? urls.map((url, place) => ({ url, path: [...path, place] }))
        : [{ url: urls, path }]
      return each.flatMap(({ url, path }): Raw[] => {
        const to = text(url)
        if (to === undefined) return []
        return [{ kind: 'proxy', from: text(at(module, 'name')) ?? '', to, path, label: prefix }]
      })
    })
  })
}
