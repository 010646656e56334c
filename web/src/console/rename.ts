/** Another name for something, everywhere: one gesture, from the table of names. */
import { type Change, change } from './commands.ts'
import { Refusal } from './edits.ts'
import type { Model } from './lens.ts'
import { at, type Kind, list, type Name, part, text } from './references.ts'
import type { Path } from './source.ts'

/** What is renamed. */
export interface Named {
  kind: Kind
  name: string
  /** Of a state or a transition: its workflow. */
  workflow?: string
}

const WORD: Record<Kind, string> = {
  module: 'module',
  component: 'component',
  resource: 'resource',
  workflow: 'workflow',
  state: 'state',
  transition: 'transition',
}

/** Renames something and every place that names it. The topics of a state that are told of in this file are renamed with it. */
export function rename(model: Model, what: Named, to: string): Change {
  const { kind, name } = what
  const word = `${WORD[kind]} \`${name}\``
  const names = namesOf(model, what)
  if (!names.some(({ place }) => place.defines)) throw new Refusal(`There is no ${word}.`)
  if (to.trim() === '' || to !== to.trim()) throw new Refusal(`A ${WORD[kind]} needs a name without spaces around it.`)
  if (to === name) return { label: `Rename ${name}`, edits: [] }
  const taken = model.names.find((other) => other.name === to && clashes(other, what, names))
  if (taken) throw new Refusal(`There is a ${WORD[taken.kind]} named \`${to}\` already.`)
  demandAlone(model, what, names)
  return change(model, `Rename ${name} to ${to}`, (draft) => {
    for (const { path, place } of names) {
      if (place.key) draft.renameKey(path, to)
      else draft.set(path, to)
    }
    for (const [path, topic] of topicsOf(model, what, to)) draft.set(path, topic)
  })
}

/** Every place that gives or uses this name, each once. */
export function namesOf(model: Model, { kind, name, workflow }: Named): Name[] {
  const scoped = kind === 'state' || kind === 'transition'
  const seen = new Set<string>()
  return model.names.filter((own) => {
    const key = own.path.join('\u0000')
    const fits = own.kind === kind && own.name === name && (!scoped || own.workflow === workflow) && !seen.has(key)
    if (fits) seen.add(key)
    return fits
  })
}

/** Components are named by modules and by their `componentId` alike, so those of two modules may not meet. */
function clashes({ kind, workflow, place, path }: Name, what: Named, own: readonly Name[]): boolean {
  if (!place.defines) return false
  const components: Kind[] = ['module', 'component']
  if (components.includes(what.kind)) {
    return components.includes(kind) && !own.some((name) => name.place.defines && name.path[1] === path[1])
  }
  return kind === what.kind && (what.workflow === undefined || workflow === what.workflow)
}

/** Refuses where one of the places speaks of another workflow as well. */
function demandAlone(model: Model, what: Named, names: readonly Name[]): void {
  if (names.filter(({ place }) => place.defines).length > 1) {
    throw new Refusal(`There are two of the ${WORD[what.kind]} \`${what.name}\`; rename one of them as text first.`)
  }
  for (const { path, place } of names) {
    if (place.workflow !== 'hooks') continue
    const shared = model.names.find((other) => other.path.join() === path.join() && other.workflow !== what.workflow)
    const step = text(at(model.source.value, ...path.slice(0, 2), 'name'))
    if (shared) {
      throw new Refusal(
        `The step \`${step}\` moves \`${shared.workflow}\` as well; give each workflow a step of its own first.`,
      )
    }
  }
}

/** Topics that entering a state is told of by, with what they become. */
function topicsOf(model: Model, { kind, name, workflow }: Named, to: string): [Path, string][] {
  if (kind !== 'state' || name === 'created') return []
  const config = model.source.value
  const hooked = new Map<string, Set<string>>()
  for (const hook of list(at(config, 'workflows', 'statemachine', 'hooks'))) {
    const handler = model.modules.find(
      (module) => module.name === at(hook, 'handler') && module.type === 'messaging.handler',
    )
    const prefix = text(handler?.config.topic)?.replace(/\.[^.]*$/, '')
    if (prefix) hooked.set(prefix, (hooked.get(prefix) ?? new Set()).add(text(at(hook, 'workflowType')) ?? ''))
  }
  // A topic that two workflows tell of is not this state's alone.
  const prefixes = [...hooked].filter(([, workflows]) => workflows.size === 1 && workflows.has(workflow ?? ''))
  const become = new Map(prefixes.map(([prefix]) => [`${prefix}.${name}`, `${prefix}.${to}`]))
  return topicPlaces(model).flatMap(([path, topic]): [Path, string][] => {
    const next = become.get(topic)
    return next ? [[path, next]] : []
  })
}

/** Every place that names a topic or an event. */
function topicPlaces(model: Model): [Path, string][] {
  const config = model.source.value
  const texts = (path: Path, keys: readonly string[]): [Path, string][] =>
    list(at(config, ...path)).flatMap((entry, index) =>
      keys.flatMap((key): [Path, string][] => {
        const topic = text(part(entry)[key])
        return topic === undefined ? [] : [[[...path, index, key], topic]]
      }),
    )
  const listed = model.modules.flatMap(({ path, config: own }) =>
    list(own.topics).flatMap((topic, index): [Path, string][] =>
      typeof topic === 'string' ? [[[...path, 'config', 'topics', index], topic]] : [],
    ),
  )
  return [
    ...listed,
    ...texts(['workflows', 'messaging', 'subscriptions'], ['topic']),
    ...texts(['triggers', 'event', 'subscriptions'], ['topic', 'event']),
  ]
}
