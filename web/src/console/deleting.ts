/**
 * Taking something away, and its name from the lists that it stands in. What else names it is left as it is and told: what becomes of it is
 * a person's decision, and until that is made the host says what is missing.
 */
import { type Change, change } from './commands.ts'
import { Refusal } from './edits.ts'
import { type Model, machineNamed, moduleNamed, usesOf } from './lens.ts'
import { at, list, type Name } from './references.ts'
import { namesOf } from './rename.ts'
import type { Path } from './source.ts'

/** What was taken away, and the places that still name any of it. */
export interface Deletion extends Change {
  left: Name[]
}

/**
 * Takes a module away. Who may pass a route is a person's decision: a middleware that asks who somebody is stays in the lists of routes,
 * which would be open without it.
 */
export function deleteModule(model: Model, name: string): Deletion {
  const module = moduleNamed(model, name)
  if (!module) throw new Refusal(`There is no module named \`${name}\`.`)
  const lists = module.type === 'http.middleware.auth' ? ['dependsOn'] : ['dependsOn', 'middlewares']
  return deletion(model, `Delete ${name}`, [module.path], usesOf(model, name), lists)
}

/** Takes a transition away. */
export function deleteTransition(model: Model, workflow: string, name: string): Deletion {
  const transition = machineNamed(model, workflow)?.transitions.find((one) => one.name === name)
  if (!transition) throw new Refusal(`\`${workflow}\` has no transition \`${name}\`.`)
  const uses = namesOf(model, { kind: 'transition', name, workflow })
  return deletion(model, `Delete ${name}`, [transition.path], uses, MACHINE_LISTS)
}

/** Takes a state away, with the transitions that leave it and that lead to it. */
export function deleteState(model: Model, workflow: string, name: string): Deletion {
  const machine = machineNamed(model, workflow)
  const state = machine?.states.find((one) => one.name === name)
  if (!machine || !state) throw new Refusal(`\`${workflow}\` has no state \`${name}\`.`)
  const transitions = machine.transitions.filter(({ from, to }) => from === name || to === name)
  const uses = [
    ...namesOf(model, { kind: 'state', name, workflow }),
    ...transitions.flatMap((transition) => namesOf(model, { kind: 'transition', name: transition.name, workflow })),
  ]
  return deletion(model, `Delete ${name}`, [state.path, ...transitions.map(({ path }) => path)], uses, MACHINE_LISTS)
}

/** Takes away what is written at a path. Of a state or a transition, its name goes out of lists too. */
export function deletePath(model: Model, path: Path): Change {
  const [kind, name] = [path.at(-2), String(path.at(-1))]
  const machine = model.machines.find((one) => one.path.every((step, index) => step === path[index]))
  if (machine && path.length === machine.path.length + 2) {
    if (kind === 'states') return deleteState(model, machine.name, name)
    if (kind === 'transitions') return deleteTransition(model, machine.name, name)
  }
  return change(model, `Delete ${path.join('.')}`, (draft) => draft.remove(path))
}

/** Lists of states and transitions: of hooks, of actions, and of what counts for an owner. */
const MACHINE_LISTS = ['transitions', 'fromStates', 'toStates', 'actions', 'perOwner']

function deletion(
  model: Model,
  label: string,
  gone: Path[],
  uses: readonly Name[],
  lists: readonly string[],
): Deletion {
  const others = uses.filter(({ place, path }) => !place.defines && !gone.some((one) => isIn(path, one)))
  const listed = others.filter(({ path }) => isListed(path, lists))
  const removed = outermost([...gone, ...emptied(model, listed)])
  const made = change(model, label, (draft) => {
    for (const path of removed) draft.remove(path)
  })
  return {
    ...made,
    left: others.filter(
      ({ path }) => !listed.some((one) => one.path === path) && !removed.some((one) => isIn(path, one)),
    ),
  }
}

function isListed(path: Path, lists: readonly string[]): boolean {
  const keys = path.filter((step) => typeof step === 'string')
  return typeof path.at(-1) === 'number' && keys.slice(-2).some((key) => lists.includes(key))
}

/** Items of lists; a list that would lose all of its items is taken away, and with it a hook or an action that would mean something else without. */
function emptied(model: Model, items: readonly Name[]): Path[] {
  const lists = new Map<string, Path[]>()
  for (const { path } of items) {
    const key = JSON.stringify(path.slice(0, -1))
    lists.set(key, [...(lists.get(key) ?? []), path])
  }
  return [...lists].flatMap(([key, paths]) => {
    const parent: Path = JSON.parse(key)
    if (list(at(model.source.value, ...parent)).length > paths.length) return paths
    if (parent[2] === 'hooks') return [parent.slice(0, 4)]
    return [parent[3] === 'actions' ? parent.slice(0, 5) : parent]
  })
}

function isIn(path: Path, outer: Path): boolean {
  return outer.every((step, index) => path[index] === step)
}

/** Without what is in another one, and each once. */
function outermost(paths: readonly Path[]): Path[] {
  return paths.filter(
    (path, index) => !paths.some((other, at) => isIn(path, other) && (other.length < path.length || at < index)),
  )
}
