import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { MODULE_TYPES } from './moduleTypes.ts'
import { namesIn, PLACES } from './references.ts'
import { repositoryFile } from './testing/corpus.ts'

interface Schema {
  $ref?: string
  description?: string
  type?: string | string[]
  enum?: string[]
  const?: string
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  items?: Schema
  anyOf?: Schema[]
  allOf?: { if: Schema; then: Schema }[]
  $defs?: Record<string, Schema>
}

const schema: Schema = JSON.parse(repositoryFile('schemas/config.schema.json'))

/** Without the ways in which it may also be nothing or a variable. */
function resolved(one: Schema): Schema {
  const target = one.$ref ? schema.$defs?.[one.$ref.split('/').at(-1) ?? ''] : undefined
  if (target) return { ...resolved(target), ...(one.description ? { description: one.description } : {}) }
  const choice = one.anyOf?.find((option) => option.type !== 'null' && !option.$ref?.endsWith('/Expansion'))
  return choice ? { ...resolved(choice), ...(one.description ? { description: one.description } : {}) } : one
}

const isText = ({ type }: Schema) =>
  type === 'string' || (Array.isArray(type) && type.includes('string') && !type.includes('integer'))

/** Every place of text in the schema, with what is said of it: `workflows.http.routes.*.handler`, with slashes. */
function texts(one: Schema, at: string[] = [], said = ''): [string, string][] {
  const own = resolved(one)
  const description = own.description && !/^`[\w.]+`\.?$|^One entry/.test(own.description) ? own.description : said
  if (isText(own)) return own.enum || own.const ? [] : [[at.join('/'), description]]
  const inside = Object.entries(own.properties ?? {}).flatMap(([key, value]) =>
    texts(value, [...at, key], value.description ?? ''),
  )
  const rest =
    typeof own.additionalProperties === 'object' ? texts(own.additionalProperties, [...at, '*'], description) : []
  return [...inside, ...rest, ...(own.items ? texts(own.items, [...at, '*'], description) : [])]
}

const moduleSchema = resolved(schema.$defs?.Module ?? {})
const settings = new Map(
  (moduleSchema.allOf ?? []).map(({ if: when, then }): [string, Schema] => [
    when.properties?.type?.const ?? '',
    then.properties?.config ?? {},
  ]),
)

const inSections = texts({ properties: schema.properties ?? {} })
const inSettings = [...settings].flatMap(([type, own]) =>
  texts(own).map(([at, said]): [string, string] => [`${type}: ${at}`, said]),
)
const all = [...inSections, ...inSettings]

describe('the table of names', () => {
  it('has the types of modules that the schema has', () => {
    expect(MODULE_TYPES.map(({ type }) => type).sort()).toEqual([...(moduleSchema.properties?.type?.enum ?? [])].sort())
    expect([...settings.keys()].sort()).toEqual(MODULE_TYPES.map(({ type }) => type).sort())
  })

  it('speaks of places that the schema has', () => {
    const known = new Set(all.map(([at]) => at))
    const maps = new Set([
      'workflows/statemachine/definitions/*/states/*',
      'workflows/statemachine/definitions/*/transitions/*',
    ])
    const missing = PLACES.map(({ of, at }) => (of ? `${of}: ${at}` : at)).filter(
      (at) => !known.has(at) && !maps.has(at),
    )
    expect(missing).toEqual([])
  })

  it('speaks of types that the schema has', () => {
    const known = new Set(MODULE_TYPES.map(({ type }) => type))
    expect(
      PLACES.flatMap(({ types = [], of }) => [...types, ...(of ? [of] : [])]).filter((type) => !known.has(type)),
    ).toEqual([])
    expect(MODULE_TYPES.flatMap(({ after }) => after).filter((type) => !known.has(type))).toEqual([])
  })

  it('has every place of which the schema says that it names a module, a workflow, a state or a transition', () => {
    const known = new Set(PLACES.map(({ of, at }) => (of ? `${of}: ${at}` : at)))
    const types = new RegExp(`\`(${MODULE_TYPES.map(({ type }) => type.replaceAll('.', '\\.')).join('|')})\``)
    const names =
      /^(Modules? |Unique name|Workflow|Transitions?\b|States?\b|Engine |The engine|Another name|In which (of these )?states|A transition )/
    const called = /(^|\/)(transitions?|states?|fromStates?|toStates?|workflow|handler|action)(\/\*)*$/
    const missing = all.filter(
      ([at, said]) => (types.test(said) || names.test(said) || called.test(at)) && !known.has(at),
    )
    expect(missing).toEqual([])
  })

  it('gives the types that the schema names where it names any', () => {
    const said = new Map(all)
    const differing = PLACES.filter(({ types }) => types).flatMap(({ of, at, types = [] }) => {
      const text = said.get(of ? `${of}: ${at}` : at) ?? ''
      const named = MODULE_TYPES.map(({ type }) => type).filter((type) => text.includes(`\`${type}\``))
      return named.length === 0 || named.sort().join() === [...types].sort().join() ? [] : [[at, named, types]]
    })
    expect(differing).toEqual([])
  })

  it.each([
    'configs/monolith.yaml',
    'configs/orders.yaml',
    'configs/gateway.yaml',
    'host/tests/config/valid/returns.yaml',
    'host/tests/config/valid/roles.yaml',
  ])('finds what every name of %s stands for', (file) => {
    const names = namesIn(parse(repositoryFile(file)))
    const defined = new Set(
      names.filter(({ place }) => place.defines).map(({ kind, name, workflow }) => `${kind} ${workflow} ${name}`),
    )
    const unknown = names.filter(
      ({ kind, name, workflow, place }) =>
        !defined.has(`${kind} ${workflow} ${name}`) && !(place.url && name.includes('://')),
    )
    expect(names.length).toBeGreaterThan(10)
    expect(unknown.map(({ path, name }) => `${path.join('/')}: ${name}`)).toEqual([])
  })

  it('takes a component by its `componentId` before a module of that name, and an engine before a workflow', () => {
    const names = namesIn(
      parse(`
modules:
  - {name: engine, type: statemachine.engine}
  - {name: one, type: dynamic.component, config: {componentId: other, source: a.wasm}}
  - {name: step, type: processing.step, config: {componentId: other}}
workflows: {statemachine: {resourceMappings: [{stateMachine: engine}, {stateMachine: flow}]}}
`),
    )
    const kinds = names.filter(({ place }) => !place.defines).map(({ name, kind }) => [name, kind])
    expect(kinds).toEqual([
      ['other', 'component'],
      ['engine', 'module'],
      ['flow', 'workflow'],
    ])
  })
})
