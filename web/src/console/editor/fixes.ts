/**
 * What a person could do about a problem with one click. What is offered has been tried: a fix that does not take its problem away, or that brings another
 * one, is not shown.
 */
import { addModule, aroundOf, type Change, change, remove, setValue } from '../commands.ts'
import { deletePath } from '../deleting.ts'
import { applied, Refusal } from '../edits.ts'
import { lens, type Model } from '../lens.ts'
import { moduleType } from '../moduleTypes.ts'
import { stepsOf } from '../pointer.ts'
import { at, part } from '../references.ts'
import type { ScalarValue } from '../scalars.ts'
import type { Path } from '../source.ts'
import { suggestions } from './form.ts'
import type { Problem } from './judge.ts'
import { plain, type Schema, schemaAt, typesOf } from './schema.ts'

export interface Fix {
  label: string
  /** Whether nothing else could be meant, so that it may be made together with others. What takes something away never is. */
  isCertain?: boolean
  make: (model: Model) => Change
}

/** Fixes that are tried for one problem. */
const MOST_TRIED = 12
/** And shown. */
const MOST_SHOWN = 3

/** Why nothing is offered for a kind of problem: it is a matter of something else than the text, or of a person. */
const WHY_NOT: Readonly<Record<string, string>> = {
  syntax: 'A text that cannot be read is mended by hand.',
  'duplicate-key': 'Which of the two is meant, only a person knows; delete one in the text.',
  unreadable: 'The file cannot be read.',
  expansion: 'Variables are given by the environment of the process.',
  'missing-file': 'The file has to be put there, or its path mended.',
  component: 'The component has to be built anew.',
  seed: 'What is wrong is in the other file.',
  'weak-secret': 'Secrets are given by the environment of the process.',
}

export function whyNot({ code }: Problem): string {
  return WHY_NOT[code] ?? 'No change of one place would take it away.'
}

/** What could be done about a problem, the gentlest first. */
export function candidates(model: Model, problem: Problem): Fix[] {
  if (model.readOnly || problem.code in WHY_NOT) return []
  const path = pathOf(model, problem.pointer)
  const all = [
    ...(problem.code === 'unknown-key' ? renamed(model, problem, path) : []),
    ...(problem.code === 'missing-key' ? given(model, problem, path) : []),
    ...(problem.code === 'unknown-key' || problem.code === 'missing-key' ? [] : meant(model, problem, path)),
    ...(['wrong-type', 'invalid-value'].includes(problem.code) ? fitting(model, path) : []),
    ...(problem.code === 'duplicate' ? otherNames(model, path) : []),
    ...added(problem),
    ...written(problem, path),
    ...flags(model, problem, path),
    ...takenAway(model, path),
  ]
  return all.slice(0, MOST_TRIED)
}

/** What could be done about a problem without a choice. */
export function certain(model: Model, problem: Problem): Fix[] {
  return candidates(model, problem).filter(({ isCertain }) => isCertain)
}

/** `/modules/0/config`, as a path of this text. */
export function pathOf({ source }: Model, pointer: string): Path {
  const path: (string | number)[] = []
  for (const own of stepsOf(pointer)) {
    path.push(Array.isArray(at(source.value, ...path)) ? Number(own) : own)
  }
  return path
}

const quoted = (words: string): string[] => [...words.matchAll(/did you mean '([^']+)'/g)].map(([, name = '']) => name)

/** `accepted: a, b and 3 more` */
function listed(words: string): string[] {
  const found = /accepted: ([^;]*?)(?: and \d+ more)?$/.exec(words)?.[1] ?? ''
  return found
    .split(', ')
    .map((one) => one.trim())
    .filter((one) => one !== '' && !one.includes(' '))
}

function told({ message, help }: Problem): string {
  return `${message} ${help}`.trim()
}

function renamed(model: Model, problem: Problem, path: Path): Fix[] {
  const beside = part(at(model.source.value, ...path.slice(0, -1)))
  return quoted(told(problem))
    .filter((name) => !Object.hasOwn(beside, name))
    .map((name, _, all) => ({
      label: `Rename it to ${name}`,
      isCertain: all.length === 1,
      make: (now) => change(now, `Rename ${path.at(-1)} to ${name}`, (draft) => draft.renameKey(path, name)),
    }))
}

/** Another value: what is near, what is accepted, what else could be named here. */
function meant(model: Model, problem: Problem, path: Path): Fix[] {
  if (path.length === 0 || !model.source.entry(path)) return []
  const words = told(problem)
  const accepted = listed(words)
  const near = quoted(words)
  const names = [...near, ...suggestions(path, model), ...(accepted.length <= 6 ? accepted : [])]
  const now = at(model.source.value, ...path)
  const all = [...new Set(names)].filter((name) => name !== now)
  return all.slice(0, 5).map((name) => ({
    ...setTo(path, name),
    isCertain: all.length === 1 || (near.length === 1 && near[0] === name),
  }))
}

function setTo(path: Path, value: ScalarValue): Fix {
  return { label: `Set it to ${value === '' ? 'nothing' : value}`, make: (now) => setValue(now, path, value) }
}

/** The key that is missing, with what it most likely says. */
function given(model: Model, { message }: Problem, path: Path): Fix[] {
  const key = /needs the key `([^`]+)`/.exec(message)?.[1]
  if (key === undefined) return []
  const own = [...path, key]
  const schema = schemaAt(own, model.source.value)
  const type = String(at(model.source.value, ...path.slice(0, 2), 'type'))
  const usual = path[2] === 'config' || key === 'config' ? usually(model, path, type, key) : []
  const names = suggestions(own, model).slice(0, 3)
  const values = [...names, ...usual, ...(schema ? sample(schema, key) : [key])]
  const [only, ...others] = suggestions(own, model)
  return [...new Set(values)].map((value) => ({
    label: `Add ${key}: ${Array.isArray(value) ? `[${value.join(', ')}]` : String(value)}`,
    isCertain: value === only && others.length === 0,
    make: (now) => change(now, `Add ${key}`, (draft) => draft.put(own, value as ScalarValue)),
  }))
}

/** What a new module of the type says there. */
function usually(model: Model, path: Path, type: string, key: string): ScalarValue[] {
  const name = String(at(model.source.value, ...path.slice(0, 2), 'name'))
  const value = moduleType(type)?.settings(aroundOf(model, name))[key]
  return value === undefined ? [] : [value as ScalarValue]
}

/** Values that fit a part of the schema. */
function sample(given: Schema, key: string): ScalarValue[] {
  const own = plain(given).own
  const choices = (own.enum ?? own.oneOf?.map((one) => one.const) ?? []).slice(0, 2)
  const [type] = typesOf(own)
  const usual: Readonly<Record<string, unknown[]>> = {
    boolean: [false],
    integer: [own.minimum ?? 1],
    number: [own.minimum ?? 1],
    array: [[key]],
    string: ['10s', key, '/'],
  }
  return [
    ...(own.default === undefined ? [] : [own.default]),
    ...choices,
    ...(usual[type ?? ''] ?? []),
  ] as ScalarValue[]
}

/** A value of the right kind, as near to the one that is there as can be. */
function fitting(model: Model, path: Path): Fix[] {
  const [now, schema] = [at(model.source.value, ...path), schemaAt(path, model.source.value)]
  if (!schema || path.length === 0) return []
  const own = plain(schema).own
  const types = typesOf(own)
  const number = Number(now)
  const near: ScalarValue[] = []
  // The same, written as the kind that is wanted.
  const same: ScalarValue[] = []
  if (types.includes('integer') && typeof now === 'string' && now.trim() !== '' && Number.isInteger(number))
    same.push(number)
  if (types.includes('boolean') && (now === 'true' || now === 'false')) same.push(now === 'true')
  if (types.includes('string') && (typeof now === 'number' || typeof now === 'boolean'))
    near.push(String(now), `${now}s`)
  if (typeof now === 'number') near.push(...bounds(number, own))
  if (typeof now === 'string') near.push(...units(now))
  const fixes: Fix[] = [
    ...same.map((value) => ({ ...setTo(path, value), isCertain: true })),
    ...near.map((value) => setTo(path, value)),
  ]
  if (types.includes('array') && now !== null && typeof now !== 'object') {
    fixes.push({ label: `Make it a list: [${now}]`, make: (own) => replaced(own, path, [now as string]) })
  }
  return [...fixes, ...sample(own, String(path.at(-1))).map((value) => setTo(path, value))].filter(
    ({ label }, index, all) => all.findIndex((one) => one.label === label) === index,
  )
}

function bounds(number: number, { minimum, maximum }: Schema): number[] {
  if (minimum !== undefined && number < minimum) return [minimum]
  return maximum !== undefined && number > maximum ? [maximum] : []
}

/** `10 sec` is 10s. */
function units(written: string): string[] {
  const found = /^\s*(\d+)\s*(ms|s|m|h|d)?/.exec(written)
  return found ? [`${found[1]}${found[2] ?? 's'}`] : []
}

function replaced(model: Model, path: Path, value: string[]): Change {
  return change(model, `Set ${path.join('.')}`, (draft) => {
    draft.remove(path)
    draft.insertKey(path.slice(0, -1), String(path.at(-1)), value)
  })
}

/** A name that nothing else has. */
function otherNames(model: Model, path: Path): Fix[] {
  const own = path.at(-1) === 'name' ? path : [...path, 'name']
  const name = at(model.source.value, ...own)
  if (typeof name !== 'string') return []
  const taken = new Set(model.names.map((one) => one.name))
  let free = `${name}-2`
  for (let number = 3; taken.has(free); number++) free = `${name}-${number}`
  return [{ label: `Name it ${free}`, make: (now) => setValue(now, own, free) }]
}

function added(problem: Problem): Fix[] {
  const type = /add one of type ([a-z.]+[a-z])/.exec(told(problem))?.[1]
  if (!type) return []
  return [{ label: `Add ${moduleType(type)?.label ?? type}`, make: (now) => addModule(now, { type }) }]
}

/** What the host says that could be written: `owner: creator`. */
function written(problem: Problem, path: Path): Fix[] {
  const place = path[0] === 'modules' && path.length === 2 ? [...path, 'config'] : path
  return [...problem.help.matchAll(/`(\w+): (\w+)`/g)].map(([, key = '', value = '']) => ({
    label: `Write ${key}: ${value}`,
    make: (now) => change(now, `Add ${key}`, (draft) => draft.put([...place, key], value)),
  }))
}

/** What a state or a transition says of itself, where that is what does not make sense. */
function flags(model: Model, { code, message }: Problem, path: Path): Fix[] {
  if (code !== 'machine') return []
  const machine = model.machines.find((one) => one.path.every((step, index) => step === path[index]))
  if (!machine) return []
  const last = path.length > machine.path.length + 2 ? path.slice(0, machine.path.length + 2) : path
  const fixes: Fix[] = []
  for (const key of ['autoTransform', 'after', 'deadline', 'exhausted', 'isFinal']) {
    if (at(model.source.value, ...last, key) !== undefined) {
      fixes.push({ label: `Take its ${key} away`, make: (now) => remove(now, [...last, key]) })
    }
  }
  const [, state] = /mark at least one state of '[^']*' as (final)/.exec(message) ?? []
  const end = machine.states.find(({ name }) => !machine.transitions.some(({ from }) => from === name))
  if (state && end) {
    fixes.push({ label: `Mark ${end.name} as final`, make: (now) => setValue(now, [...end.path, 'isFinal'], true) })
  }
  if (last[machine.path.length] === 'states' && last !== path) return fixes
  return fixes
}

/** Without it what holds by itself does, or nothing. */
function takenAway(model: Model, path: Path): Fix[] {
  const fixes: Fix[] = []
  // Of what is too much around it as well: the entry of a list, the hook, the transition.
  for (let depth = path.length; depth >= Math.max(2, path.length - 2); depth--) {
    const own = path.slice(0, depth)
    const isModule = own[0] === 'modules' && own.length === 2
    if (!model.source.entry(own) || isModule || own.length < 3) continue
    const word = own.at(-1)
    const label = typeof word === 'number' ? `Take entry ${word + 1} out of ${own.at(-2)}` : `Remove ${word}`
    fixes.push({ label, make: (now) => deletePath(now, own) })
  }
  return fixes
}

/** The text that a fix leaves, or `null` where it is refused. */
export function outcome(model: Model, fix: Fix): string | null {
  try {
    return applied(model.source.text, fix.make(model).edits)
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

const keyOf = ({ code, message }: Pick<Problem, 'code' | 'message'>) => `${code} ${message}`

function counts(problems: readonly Pick<Problem, 'code' | 'message'>[]): Map<string, number> {
  const all = new Map<string, number>()
  for (const one of problems) all.set(keyOf(one), (all.get(keyOf(one)) ?? 0) + 1)
  return all
}

/** Whether a problem is gone, and nothing else has come. */
export function isMended(
  problem: Problem,
  before: readonly Pick<Problem, 'code' | 'message'>[],
  after: readonly Pick<Problem, 'code' | 'message'>[],
): boolean {
  const [was, is] = [counts(before), counts(after)]
  const own = keyOf(problem)
  if ((is.get(own) ?? 0) >= (was.get(own) ?? 0)) return false
  return [...is].every(([key, count]) => count <= (was.get(key) ?? 0))
}

/** The fixes of a problem that were tried and hold. `judge` says what is wrong with a text; `null` ends it. */
export async function tried(
  model: Model,
  problem: Problem,
  before: readonly Problem[],
  judge: (text: string) => Promise<readonly Pick<Problem, 'code' | 'message'>[] | null>,
): Promise<Fix[]> {
  const [good, seen] = [[] as Fix[], new Set<string>()]
  for (const fix of candidates(model, problem)) {
    const text = outcome(model, fix)
    if (text === null || seen.has(text)) continue
    seen.add(text)
    const after = await judge(text)
    // The text that is shown stays among those that are read already.
    lens(model.source.text)
    if (after === null) return good
    if (isMended(problem, before, after)) good.push(fix)
    if (good.length === MOST_SHOWN) return good
  }
  return good
}
