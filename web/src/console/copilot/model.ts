/** What a model proposes, made of gestures: edits by places, each of which changes as little of the text as it can. */
import { type Change, change } from '../commands.ts'
import { Refusal } from '../edits.ts'
import type { Model } from '../lens.ts'
import { stepsOf } from '../pointer.ts'
import { at } from '../references.ts'
import type { Path } from '../source.ts'
import type { Value } from '../style.ts'
import { same } from '../values.ts'
import { type Gesture, inTurn } from './proposal.ts'

/** An edit, as the host hands it on. */
export interface ModelEdit {
  op: 'set' | 'append' | 'remove'
  /** JSON pointer into what the edits before leave. */
  pointer: string
  value?: unknown
}

/** The edits as one change. Throws a refusal where one of them cannot be made. */
export function proposed(model: Model, label: string, edits: readonly ModelEdit[]): Change {
  return inTurn(
    model,
    label,
    edits.map((edit) => (now: Model) => made(now, edit)),
  )
}

function made(model: Model, { op, pointer, value = null }: ModelEdit): Change {
  const path = pathOf(model, pointer)
  const told = `Edit ${pointer}`
  if (op === 'remove') return change(model, told, (draft) => draft.remove(path))
  if (op === 'append') return change(model, told, (draft) => draft.append(path, asValue(value)))
  return inTurn(model, told, assigned(path, at(model.source.value, ...path), asValue(value)))
}

/** Steps of a JSON pointer: numbers where the text has a list. */
export function pathOf(model: Model, pointer: string): Path {
  const path: (string | number)[] = []
  let value: unknown = model.source.value
  for (const name of stepsOf(pointer)) {
    const isIndex = Array.isArray(value) && /^(0|[1-9]\d*)$/.test(name)
    if (Array.isArray(value) && !isIndex) throw new Refusal(`\`${pointer}\` names an item of a list by \`${name}\`.`)
    path.push(isIndex ? Number(name) : name)
    value = (value as Record<string, unknown> | null)?.[name]
  }
  if (path.length === 0) throw new Refusal(`\`${pointer}\` is the whole config, which is not put in one piece.`)
  return path
}

/** What is written has to be what YAML and JSON both have. */
function asValue(value: unknown): Value {
  return value as Value
}

const isMap = (value: unknown): value is Record<string, Value> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isSingle = (value: unknown) => value === null || typeof value !== 'object'
const one = (path: Path, write: Parameters<typeof change>[2]): Gesture => {
  return (model) => change(model, `Edit ${path.join('.')}`, write)
}

/** What leads from one value of a place to another: what is the same in both stays as it is written. */
function assigned(path: Path, old: unknown, value: Value): Gesture[] {
  if (same(old, value)) return []
  if (old === undefined) return [added(path, value)]
  if (isSingle(old) && isSingle(value)) return [one(path, (draft) => draft.put(path, value))]
  if (isMap(old) && isMap(value) && Object.keys(value).length > 0) return inMap(path, old, value)
  if (Array.isArray(old) && Array.isArray(value) && value.length > 0) return inList(path, old, value)
  return instead(path, value)
}

/** What is new comes first, so that no map is left with nothing in it. */
function inMap(path: Path, old: Record<string, unknown>, value: Record<string, Value>): Gesture[] {
  const gone = Object.keys(old).filter((key) => !(key in value))
  const steps = Object.entries(value).flatMap(([key, inner]) => assigned([...path, key], old[key], inner))
  return [...steps, ...gone.map((key) => one([...path, key], (draft) => draft.remove([...path, key])))]
}

function inList(path: Path, old: readonly unknown[], value: readonly Value[]): Gesture[] {
  const steps = value.flatMap((inner, index) => assigned([...path, index], old[index], inner))
  const gone = old.slice(value.length).map(() => one(path, (draft) => draft.remove([...path, value.length])))
  return [...steps, ...gone]
}

function added(path: Path, value: Value): Gesture {
  const last = path.at(-1)
  if (typeof last === 'number') return one(path, (draft) => draft.append(path.slice(0, -1), value))
  return one(path, (draft) => draft.put(path, value))
}

/** A value of another kind: written in the place of the old one, which goes. */
function instead(path: Path, value: Value): Gesture[] {
  const [last, holder] = [path.at(-1), path.slice(0, -1)]
  if (typeof last === 'number') {
    return [
      one(path, (draft) => draft.insertItem(holder, last, value)),
      one(path, (draft) => draft.remove([...holder, last + 1])),
    ]
  }
  return [
    (model) => {
      const keys = Object.keys((at(model.source.value, ...holder) as Record<string, unknown>) ?? {})
      const before = keys.slice(0, keys.indexOf(String(last)))
      const without = (now: Model) => change(now, '', (draft) => draft.remove(path))
      const written = (now: Model) => change(now, '', (draft) => draft.insertKey(holder, String(last), value, before))
      return inTurn(model, `Edit ${path.join('.')}`, [without, written])
    },
  ]
}
