/** Fields of a form, made from the schema: what can be set at a place of a config, and by which kind of control. */

import type { Model } from '../lens.ts'
import { moduleType } from '../moduleTypes.ts'
import { at, type Kind, type Part, PLACES, part } from '../references.ts'
import type { Path } from '../source.ts'
import { labelOf } from './labels.ts'
import { plain, resolved, type Schema, schemaAt, typesOf } from './schema.ts'

export type Control = 'text' | 'number' | 'switch' | 'choice' | 'list' | 'map' | 'group' | 'written'

export interface Field {
  key: string
  path: Path
  label: string
  control: Control
  /** What it is for, and what holds if it is not given. */
  help: string
  /** The part of the help that says what holds if it is not given: `15s`. */
  fallback: string
  required: boolean
  secret: boolean
  /** What is typed as a number is one: also where a duration or a name could stand instead. */
  takesNumbers: boolean
  /** May be a variable of the environment. */
  expands: boolean
  choices: readonly string[]
  minimum: number | undefined
  maximum: number | undefined
  /** Of a group: what is in it. */
  fields: readonly Field[]
}

/** How deep groups are shown; what is deeper is edited as text. */
const DEEPEST = 2

/** The fields of the map at this path, in the sequence of the schema; none where it says nothing of it. */
export function fieldsAt(path: Path, model: Model): Field[] {
  const own = schemaAt(path, model.source.value)
  return own ? fieldsOf(own, path, 0, at(model.source.value, ...path)) : []
}

function fieldsOf({ properties = {}, required = [] }: Schema, path: Path, depth: number, value: unknown): Field[] {
  return Object.entries(properties).map(([key, given]) => {
    const { own, expands } = plain(given)
    const help = given.description ?? own.description ?? ''
    const control = controlOf(own, depth, at(value, key))
    return {
      key,
      path: [...path, key],
      label: labelOf(key),
      control,
      help: help.replaceAll('\n', ' '),
      fallback: fallbackOf(help),
      required: required.includes(key),
      secret: own['x-secret'] === true || secretNames.test(key),
      takesNumbers: typesOf(own).some((type) => type === 'integer' || type === 'number'),
      expands,
      choices: choicesOf(own),
      minimum: own.minimum,
      maximum: own.maximum,
      fields: control === 'group' ? fieldsOf(own, [...path, key], depth + 1, at(value, key)) : [],
    }
  })
}

const secretNames = /secret|password|token$/i

function choicesOf(own: Schema): string[] {
  const given = own.enum ?? own.oneOf?.map((one) => one.const) ?? []
  return given.filter((one): one is string => typeof one === 'string')
}

function controlOf(own: Schema, depth: number, value: unknown): Control {
  if (choicesOf(own).length > 0) return 'choice'
  const types = typesOf(own)
  const [type = ''] = types
  if (types.length !== 1) return isText(own) ? 'text' : 'written'
  if (type === 'array') return own.items && isText(own.items) ? 'list' : 'written'
  return SINGLE[type] ?? controlOfMap(own, depth, value)
}

const SINGLE: Record<string, Control> = { boolean: 'switch', integer: 'number', number: 'number', string: 'text' }

function controlOfMap({ properties, additionalProperties }: Schema, depth: number, value: unknown): Control {
  if (properties) return depth < DEEPEST ? 'group' : 'written'
  if (typeof additionalProperties !== 'object') return 'written'
  return isText(additionalProperties) || (mayBeText(additionalProperties) && hasOnlyTexts(value)) ? 'map' : 'written'
}

/** Whether a text is one of the things that may stand there, as a target beside a list of them. */
function mayBeText(given: Schema): boolean {
  return typesOf(plain(resolved(given)).own).includes('string')
}

function hasOnlyTexts(value: unknown): boolean {
  return Object.values(part(value)).every((one) => typeof one !== 'object' || one === null)
}

function isText(given: Schema): boolean {
  const types = typesOf(plain(resolved(given)).own)
  return types.length > 0 && types.every((type) => type !== 'object' && type !== 'array')
}

/** `15s` of `From the first byte to the last; 15s if not given.` */
function fallbackOf(help: string): string {
  const found = /(?:^|[;.,]\s+)`?([^;.,`]{1,30})`?,? if not given/.exec(help.replaceAll('\n', ' '))
  return found?.[1]?.trim() ?? ''
}

/** What names could stand at this path: a module's, a state's; none where it is no name. */
export function suggestions(path: Path, model: Model): string[] {
  const place = PLACES.find((one) => !one.defines && fits(one, path, model))
  if (!place) return []
  const defined = model.names.filter((name) => name.place.defines && name.kind === place.names)
  const workflow = workflowAt(path, place.workflow, model)
  const names = defined.filter((name) => allowed(name, place.types, model) && (!workflow || name.workflow === workflow))
  const own = path[0] === 'modules' ? at(model.source.value, 'modules', Number(path[1]), 'name') : undefined
  return [...new Set(names.map(({ name }) => name))].filter((name) => place.names !== 'module' || name !== own)
}

function allowed(
  { kind, path }: { kind: Kind; path: Path },
  types: readonly string[] | undefined,
  model: Model,
): boolean {
  if (kind !== 'module' || !types) return true
  return types.includes(String(at(model.source.value, 'modules', Number(path[1]), 'type')))
}

function fits({ of, at: pattern }: { of?: string; at: string }, path: Path, model: Model): boolean {
  if (of && (path[0] !== 'modules' || at(model.source.value, 'modules', Number(path[1]), 'type') !== of)) return false
  const own = of ? path.slice(3) : path
  const steps = pattern.split('/')
  return steps.length === own.length && steps.every((step, index) => step === '*' || step === String(own[index]))
}

/** The workflow whose states and transitions are meant. */
function workflowAt(path: Path, key: string | undefined, model: Model): string | null {
  if (!key || key === 'hooks') return null
  for (let depth = path.length - 1; depth > 0; depth--) {
    const named = part(at(model.source.value, ...path.slice(0, depth)) as Part)[key]
    if (typeof named === 'string') return named
  }
  return null
}

/** What a type of module is called. */
export function typeLabel(type: string): string {
  return moduleType(type)?.label ?? type
}
