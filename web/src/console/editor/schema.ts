/** The schema of configs, as far as forms and the check in the browser need it. */
import written from '../../../../schemas/config.schema.json' with { type: 'json' }
import { at, part, text } from '../references.ts'
import type { Path } from '../source.ts'

/** A part of the schema. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, boolean | Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly { if: { properties: { type: { const: string } } }; then: Schema }[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly default?: unknown
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly 'x-expected'?: string
  readonly 'x-noun'?: string
  readonly 'x-secret'?: boolean
}

const BUNDLED = written as unknown as Schema
let current = BUNDLED

/** What the pages were built with, until a process has told its own. */
export function schema(): Schema {
  return current
}

/** Takes the schema of a process, if that is what this is. */
export function takeSchema(told: unknown): void {
  const { $defs, properties } = part(told)
  if ($defs && at(properties, 'modules')) current = told as Schema
}

const EXPANSION = '#/$defs/Expansion'

/** A part with what it refers to; what is said beside a reference is said of this place. */
export function resolved(given: Schema): Schema {
  if (!given.$ref) return given
  const { $ref, ...beside } = given
  const target = current.$defs?.[$ref.replace('#/$defs/', '')] ?? {}
  return { ...resolved(target), ...beside }
}

/** A part without the alternatives that every setting has, nothing and a variable; and whether it may be a variable. */
export function plain(given: Schema): { own: Schema; expands: boolean } {
  const whole = resolved(given)
  const [alternatives, rest] = [whole.anyOf, { ...whole }]
  if (!alternatives) return { own: whole, expands: false }
  const expands = alternatives.some(({ $ref }) => $ref === EXPANSION)
  const left = alternatives.filter((one) => one.$ref !== EXPANSION && one.type !== 'null')
  const [only] = left
  if (left.length !== 1 || !only) return { own: whole, expands }
  const inner = plain(only)
  delete (rest as { anyOf?: unknown }).anyOf
  return { own: { ...inner.own, ...rest }, expands: expands || inner.expands }
}

/** The types that a value may have, nothing aside. */
export function typesOf({ type }: Schema): readonly string[] {
  return (typeof type === 'string' ? [type] : (type ?? [])).filter((one) => one !== 'null')
}

/** What the schema says of a module's settings; `undefined` of a type that it does not know. */
export function settingsOf(type: string): Schema | undefined {
  const module = current.$defs?.Module
  const found = module?.allOf?.find((one) => one.if.properties.type.const === type)
  return found && resolved(found.then.properties?.config ?? {})
}

/** Whether a module of this type has to have settings. */
export function needsSettings(type: string): boolean {
  const found = current.$defs?.Module?.allOf?.find((one) => one.if.properties.type.const === type)
  return found?.then.required?.includes('config') ?? false
}

/** What the schema says of the value at a path; `undefined` where it says nothing. */
export function schemaAt(path: Path, config: unknown): Schema | undefined {
  let own: Schema | undefined = current
  for (const [depth, step] of path.entries()) {
    if (!own) return undefined
    if (depth === 2 && path[0] === 'modules' && step === 'config') {
      own = settingsOf(text(at(config, 'modules', Number(path[1]), 'type')) ?? '')
      continue
    }
    own = within(own, step)
  }
  return own && plain(own).own
}

function within(outer: Schema, step: string | number): Schema | undefined {
  const { own } = plain(outer)
  if (typeof step === 'number') return own.items
  const named = own.properties?.[step]
  if (named) return named
  return typeof own.additionalProperties === 'object' ? own.additionalProperties : undefined
}
