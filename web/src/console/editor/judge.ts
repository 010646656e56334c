/** What the browser can say of a config by itself: whether it is YAML, whether it fits the schema, and whether its names are there. */
import type { Model } from '../lens.ts'
import { pointerTo } from '../pointer.ts'
import { at, type Name, part } from '../references.ts'
import type { Path } from '../source.ts'
import { needsSettings, plain, resolved, type Schema, schema, settingsOf, typesOf } from './schema.ts'

/** A problem, as the host tells it too. Line and column are from 1. */
export interface Problem {
  severity: 'error' | 'warning'
  message: string
  help: string
  line: number
  column: number
  from: number
  to: number
  /** The module that it is in, if it is in one. */
  module: string | null
  /** What kind of problem it is, as the host calls it. */
  code: string
  /** JSON pointer of what is wrong. */
  pointer: string
}

interface Found {
  path: Path
  code: string
  message: string
  help?: string
}

const known = new WeakMap<Model, { by: Schema; problems: readonly Problem[] }>()

/** The problems that need no host to be seen, in the sequence of the text. Each part of the page asks: the same model again costs nothing. */
export function judged(model: Model): readonly Problem[] {
  const [own, by] = [known.get(model), schema()]
  if (own?.by === by) return own.problems
  const problems = look(model)
  known.set(model, { by, problems })
  return problems
}

function look(model: Model): Problem[] {
  const { source } = model
  if (source.text.trim() === '') return []
  const unreadable = source.problems.map(({ message, from, to }) => problem(model, { from, to }, 'syntax', message, ''))
  if (source.value === null || source.readOnly) {
    const told =
      unreadable.length > 0
        ? unreadable
        : [problem(model, { from: 0, to: 0 }, 'syntax', source.readOnly ?? 'It says nothing.', '')]
    return told
  }
  const found = [...byShape(source.value, schema(), [], source.value), ...byName(model)]
  return found
    .map(({ path, code, message, help = '' }) => problem(model, rangeOf(model, path), code, message, help, path))
    .sort((one, other) => one.from - other.from)
}

function problem(
  model: Model,
  { from, to }: { from: number; to: number },
  code: string,
  message: string,
  help: string,
  path: Path = [],
): Problem {
  const { line, column } = model.source.position(from)
  const inside = path[0] === 'modules' ? at(model.source.value, 'modules', Number(path[1]), 'name') : null
  return {
    severity: 'error',
    message,
    help,
    line,
    column,
    from,
    to,
    module: typeof inside === 'string' ? inside : null,
    code,
    pointer: pointerTo(path),
  }
}

/** Where the value at a path is written, or what it would be in. */
export function rangeOf({ source }: Model, path: Path): { from: number; to: number } {
  for (let depth = path.length; depth > 0; depth--) {
    const entry = source.entry(path.slice(0, depth))
    if (!entry) continue
    const [from = entry.from, to = entry.to] =
      depth === path.length && entry.value?.range
        ? entry.value.range
        : (entry.key?.range ?? [entry.from, entry.from + 1])
    return { from, to: Math.max(to, from) }
  }
  return { from: 0, to: 0 }
}

function byShape(value: unknown, given: Schema, path: Path, config: unknown): Found[] {
  const whole = resolved(given)
  if (whole.anyOf) return byAlternative(value, whole, path, config)
  const wrong = byValue(value, whole)
  if (wrong) return [{ path, code: 'wrong-type', message: wrong }]
  if (Array.isArray(value)) return byItems(value, whole, path, config)
  return value !== null && typeof value === 'object' ? byKeys(part(value), whole, path, config) : []
}

function byAlternative(value: unknown, whole: Schema, path: Path, config: unknown): Found[] {
  const tried = (whole.anyOf ?? []).map((one) => byShape(value, one, path, config))
  if (tried.some((found) => found.length === 0)) return []
  const { own } = plain(whole)
  if (own.anyOf) return [{ path, code: 'wrong-type', message: expected(value, whole) }]
  return byShape(value, own, path, config)
}

const TYPE_OF: Record<string, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: Number.isInteger,
  number: (value) => typeof value === 'number',
  array: Array.isArray,
  object: (value) => value !== null && typeof value === 'object' && !Array.isArray(value),
  null: (value) => value === null,
}

/** What is wrong with a single value, or `null`. */
function byValue(value: unknown, own: Schema): string | null {
  const types = typeof own.type === 'string' ? [own.type] : own.type
  if (types && !types.some((type) => TYPE_OF[type]?.(value))) return expected(value, own)
  const choices = own.enum ?? own.oneOf?.map((one) => one.const)
  if (choices && !choices.includes(value))
    return `There is no ${own['x-noun'] ?? 'choice'} ${shown(value)}; accepted are ${choices.join(', ')}.`
  if (typeof value === 'number' && !within(value, own)) return expected(value, own)
  if (typeof value === 'string' && !isFitting(value, own)) return expected(value, own)
  return null
}

function within(value: number, { minimum = -Infinity, maximum = Infinity }: Schema): boolean {
  return value >= minimum && value <= maximum
}

function isFitting(value: string, { minLength = 0, pattern: wanted }: Schema): boolean {
  return value.length >= minLength && (wanted === undefined || pattern(wanted).test(value))
}

function expected(value: unknown, own: Schema): string {
  return `Expected ${own['x-expected'] ?? named(own)}; found ${shown(value)}.`
}

function named(own: Schema): string {
  const { own: inner } = plain(own)
  if (inner['x-expected']) return inner['x-expected']
  const words: Record<string, string> = {
    string: 'text',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a map',
  }
  const told = typesOf(inner).map((type) => words[type] ?? type)
  const [lowest, highest] = [inner.minimum, inner.maximum]
  const range = lowest === undefined && highest === undefined ? '' : ` from ${lowest ?? 'any'} to ${highest ?? 'any'}`
  const empty = inner.minLength && told.includes('text') ? ' that is not empty' : ''
  return `${told.join(' or ') || 'something else'}${range}${empty}`
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string') return value === '' ? 'empty text' : `\`${value}\``
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'a map' : String(value)
}

function byItems(value: readonly unknown[], own: Schema, path: Path, config: unknown): Found[] {
  if (value.length < (own.minItems ?? 0))
    return [{ path, code: 'invalid-value', message: 'The list is empty; it needs an entry.' }]
  const { items } = own
  return items ? value.flatMap((item, index) => byShape(item, items, [...path, index], config)) : []
}

function byKeys(value: Record<string, unknown>, own: Schema, path: Path, config: unknown): Found[] {
  const absent = (own.required ?? []).filter((key) => !Object.hasOwn(value, key))
  const found: Found[] = absent.map((key) => ({ path, code: 'missing-key', message: needs(path, key) }))
  for (const [key, item] of Object.entries(value)) found.push(...byKey(key, item, own, path, config))
  if (path[0] === 'modules' && path.length === 2) found.push(...bySettings(value, path, config))
  return found
}

function byKey(key: string, item: unknown, own: Schema, path: Path, config: unknown): Found[] {
  const other = typeof own.additionalProperties === 'object' ? own.additionalProperties : undefined
  const inner = own.properties?.[key] ?? other
  if (inner) return byShape(item, inner, [...path, key], config)
  const free = Object.keys(own.patternProperties ?? {}).some((one) => pattern(one).test(key))
  return own.additionalProperties === false && !free
    ? [{ path: [...path, key], code: 'unknown-key', ...unknownKey(key, own) }]
    : []
}

const patterns = new Map<string, RegExp>()

function pattern(written: string): RegExp {
  const known = patterns.get(written) ?? new RegExp(written, 'u')
  patterns.set(written, known)
  return known
}

/** In the words of the host. */
function needs(path: Path, key: string): string {
  return path.length === 0 ? `the config needs the key \`${key}\`` : `\`${path.at(-1)}\` needs the key \`${key}\``
}

function unknownKey(key: string, own: Schema): Omit<Found, 'path' | 'code'> {
  const known = Object.keys(own.properties ?? {})
  const near = nearest(key, known)
  const accepted = known.length > 0 ? `accepted: ${known.join(', ')}` : 'nothing can be set here'
  return { message: `unknown key \`${key}\``, help: near ? `did you mean '${near}'? ${accepted}` : accepted }
}

function bySettings(module: Record<string, unknown>, path: Path, config: unknown): Found[] {
  const type = String(module.type)
  const own = settingsOf(type)
  if (!own) return []
  if (module.config === undefined)
    return needsSettings(type) ? [{ path, code: 'missing-key', message: needs(path, 'config') }] : []
  return byShape(module.config, own, [...path, 'config'], config)
}

/** Names that nothing has, and names that two things have. */
function byName({ names }: Model): Found[] {
  const [known, found] = [new Set<string>(), [] as Found[]]
  for (const { kind, name, workflow, path, place } of names) {
    if (!place.defines) continue
    const key = keyOf(kind, workflow, name)
    if (known.has(key) && (kind === 'module' || kind === 'workflow'))
      found.push({ path, code: 'duplicate', message: `There are two of the ${kind} \`${name}\`.` })
    known.add(key)
  }
  return [...found, ...names.flatMap((name) => missing(name, known))]
}

function keyOf(kind: string, workflow: string | null, name: string): string {
  return `${kind}\n${kind === 'state' || kind === 'transition' ? workflow : ''}\n${name}`
}

function missing({ kind, name, workflow, path, place }: Name, known: ReadonlySet<string>): Found[] {
  const scoped = kind === 'state' || kind === 'transition'
  if (place.defines || name.includes('${') || (place.url && name.includes('://')) || (scoped && workflow === null))
    return []
  if (known.has(keyOf(kind, workflow, name))) return []
  const prefix = keyOf(kind, workflow, '')
  const near = nearest(
    name,
    [...known].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
  )
  return [
    {
      path,
      code: 'unknown-name',
      message: `There is no ${kind} \`${name}\`.`,
      help: near ? `did you mean '${near}'?` : '',
    },
  ]
}

/** The name that was most likely meant, if one is near. */
export function nearest(name: string, names: readonly string[]): string | null {
  const ranked = names
    .map((other) => ({ other, far: distance(name.toLowerCase(), other.toLowerCase()) }))
    .sort((a, b) => a.far - b.far)
  const [best] = ranked
  return best && best.far <= Math.max(2, Math.floor(name.length / 3)) ? best.other : null
}

function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost)
    }
    row = next
  }
  return row[other.length] ?? 0
}
