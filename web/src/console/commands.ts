/** Gestures on a config: each gives the edits that make it, which are one step to undo. Nothing here keeps or changes a text. */
import { Draft } from './draft.ts'
import { type Edit, Refusal } from './edits.ts'
import { type Model, moduleNamed } from './lens.ts'
import { type Around, moduleType } from './moduleTypes.ts'
import { type Part, text } from './references.ts'
import type { ScalarValue } from './scalars.ts'
import type { Path } from './source.ts'
import type { Value } from './style.ts'

/** What a gesture comes to. */
export interface Change {
  /** What the person did: `Rename auth to accounts`. */
  label: string
  edits: Edit[]
}

/** Something written in one gesture. */
export function change(model: Model, label: string, write: (draft: Draft) => void): Change {
  const draft = new Draft(model.source)
  write(draft)
  return { label, edits: draft.finish() }
}

const told = (path: Path) => path.map(String).join('.')

/** A single value at a path: the old one is replaced, or its key is made, in maps that are made as well. */
export function setValue(model: Model, path: Path, value: ScalarValue): Change {
  return change(model, `Set ${told(path)}`, (draft) => draft.put(path, value))
}

/** A new key of a map, with any value. */
export function insertKey(model: Model, map: Path, key: string, value: Value): Change {
  return change(model, `Add ${told([...map, key])}`, (draft) => draft.put([...map, key], value))
}

/** Takes a key or an item of a list away. */
export function remove(model: Model, path: Path): Change {
  return change(model, `Remove ${told(path)}`, (draft) => draft.remove(path))
}

/** A new last item of a list, which is made if it is not there. */
export function appendItem(model: Model, path: Path, value: Value): Change {
  return change(model, `Add to ${told(path)}`, (draft) => draft.append(path, value))
}

/** Puts an item of a list to another place. */
export function moveItem(model: Model, path: Path, from: number, to: number): Change {
  return change(model, `Move in ${told(path)}`, (draft) => draft.move(path, from, to))
}

/** What is given of a new module; what is not given follows from its type. */
export interface NewModule {
  type: string
  name?: string
  config?: { [key: string]: Value }
  dependsOn?: string[]
}

/** A new module, after the last one of its type, or of its role, or of all. */
export function addModule(model: Model, given: NewModule): Change & { name: string } {
  const name = given.name ?? freeName(model, given.type)
  const made = change(model, `Add ${name}`, (draft) => writeModule(model, draft, { ...given, name }))
  return { ...made, name }
}

/** What is around a new module of this name. */
export function aroundOf({ modules }: Model, name: string): Around {
  const found = (types: readonly string[]) => modules.find((module) => types.includes(module.type))
  return { name, first: (...types) => found(types)?.name, heard: text(found(['messaging.handler'])?.config.topic) }
}

/** Writes a new module as a part of a gesture. `among`: names of modules that the same gesture makes. */
export function writeModule(model: Model, draft: Draft, given: NewModule & { name: string }, among: Part = {}): void {
  const { name, type } = given
  if (name === '') throw new Refusal('A module needs a name.')
  if (moduleNamed(model, name)) throw new Refusal(`There is a module named \`${name}\` already.`)
  const known = moduleType(type)
  const around = aroundOf(model, name)
  const { first } = around
  const config = { ...known?.settings(around), ...given.config }
  const dependsOn = given.dependsOn ?? (known?.after ?? []).flatMap((one) => (among[one] as string) ?? first(one) ?? [])
  const entry: { [key: string]: Value } = { name, type }
  if (Object.keys(config).length > 0) entry.config = config
  if (dependsOn.length > 0) entry.dependsOn = dependsOn
  if (draft.source.entry(['modules'])) draft.insertItem(['modules'], placeFor(model, type), entry)
  else draft.put(['modules'], [entry], ['requires'])
}

function placeFor(model: Model, type: string): number {
  const role = moduleType(type)?.role
  const last = (fits: (module: Model['modules'][number]) => boolean) => model.modules.findLastIndex(fits) + 1
  return last((module) => module.type === type) || last((module) => module.role === role) || model.modules.length
}

/** A name that no module has: that of the type, with a number where it is taken. */
export function freeName(model: Model, type: string, wanted?: string): string {
  const label = moduleType(type)?.label ?? type
  const base =
    wanted ??
    label
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, '')
  let name = base
  for (let number = 2; moduleNamed(model, name); number++) name = `${base}-${number}`
  return name
}

/** What is given of a new route. */
export interface NewRoute {
  method: string
  path: string
  handler: string
  /** Outermost first; those of the handler's other routes if not given. */
  middlewares?: string[]
}

const ROUTES = ['workflows', 'http', 'routes']

/** A new route, after the last one of its handler. The section is made if it is not there. */
export function addRoute(model: Model, given: NewRoute): Change {
  return change(model, `Add ${given.method} ${given.path}`, (draft) => writeRoute(model, draft, given))
}

export function writeRoute(model: Model, draft: Draft, { method, path, handler, middlewares }: NewRoute): void {
  const same = model.routes.find((route) => route.method === method && route.path === path)
  if (same) throw new Refusal(`${method} ${path} is answered by \`${same.handler}\` already.`)
  const last = model.routes.findLastIndex((route) => route.handler === handler)
  const chain = middlewares ?? model.routes[last]?.middlewares ?? []
  const route: { [key: string]: Value } = { method, path, handler }
  if (chain.length > 0) route.middlewares = chain
  if (draft.source.entry(ROUTES)) {
    draft.insertItem(ROUTES, last < 0 ? draft.length(ROUTES) : last + 1, route)
    return
  }
  const named = (type: string) => model.modules.find((module) => module.type === type)?.name
  const [router, server] = [named('http.router'), named('http.server')]
  if (!router || !server) throw new Refusal('A route needs an HTTP Server and an HTTP Router; add these first.')
  if (draft.source.entry(['workflows', 'http'])) draft.put(ROUTES, [route])
  else draft.put(['workflows', 'http'], { router, server, routes: [route] }, ['modules'])
}
