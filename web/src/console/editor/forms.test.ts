/** The pure parts of the page: forms from the schema, what the browser sees of a config by itself, and where boxes lie. */
import { describe, expect, it } from 'vitest'
import { lens } from '../lens.ts'
import { MODULE_TYPES } from '../moduleTypes.ts'
import { largeConfig, repositoryFiles } from '../testing/corpus.ts'
import { graphOf } from './drawing.ts'
import { fieldsAt, suggestions } from './form.ts'
import { judged } from './judge.ts'
import { labelOf } from './labels.ts'
import { BOX, completed, placed } from './placing.ts'
import { settingsOf } from './schema.ts'
import { pathAt, selectionAt } from './selection.ts'

const valid = repositoryFiles().filter(([path]) => path.startsWith('configs/') || path.includes('tests/config/valid/'))
const monolith = valid.find(([path]) => path === 'configs/monolith.yaml')?.[1] ?? ''

describe('forms', () => {
  it.each([
    ['readTimeout', 'Read Timeout'],
    ['maxOpenConns', 'Max Open Connections'],
    ['dsn', 'DSN'],
    ['instanceIDPrefix', 'Instance ID Prefix'],
    ['dependsOn', 'Depends on'],
  ])('call the key %s %s', (key, label) => {
    expect(labelOf(key)).toBe(label)
  })

  it('have a field for every setting of every type of module', () => {
    for (const { type } of MODULE_TYPES) {
      const fields = fieldsAt(['modules', 0, 'config'], lens(`modules:\n  - {name: a, type: ${type}}\n`))
      expect([type, fields.map(({ key }) => key)]).toEqual([type, Object.keys(settingsOf(type)?.properties ?? {})])
    }
  })

  it('tell what holds if something is not given', () => {
    const fields = fieldsAt(['modules', 0, 'config'], lens('modules:\n  - {name: a, type: http.server}\n'))
    expect(fields.find(({ key }) => key === 'readTimeout')?.fallback).toBe('15s')
  })

  it('show the targets of a proxy as texts, and as they are written where one of them is a list', () => {
    const control = (targets: string) => {
      const config = `modules:\n  - {name: a, type: http.simple_proxy, config: {targets: ${targets}}}\n`
      const found = fieldsAt(['modules', 0, 'config'], lens(config)).find(({ key }) => key === 'targets')
      return [found?.control, judged(lens(config)).filter(({ message }) => message.includes('base URL')).length]
    }
    expect(control('{/api: "http://a:1"}')).toEqual(['map', 0])
    expect(control('{}')).toEqual(['map', 0])
    expect(control('{/api: ["http://a:1", "http://b:1"]}')).toEqual(['written', 0])
    expect(control('{/api: 7}')).toEqual(['map', 1])
  })

  it('take a number as one where a number of seconds or a duration may stand', () => {
    const fields = fieldsAt(['modules', 0, 'config'], lens('modules:\n  - {name: a, type: static.fileserver}\n'))
    const takes = Object.fromEntries(fields.map(({ key, takesNumbers }) => [key, takesNumbers]))
    expect(takes).toMatchObject({ cacheMaxAge: true, root: false, prefix: false })
  })

  it('offer the names that fit', () => {
    const model = lens(monolith)
    const step = model.modules.find(({ type }) => type === 'processing.step')
    const found = suggestions([...(step?.path ?? []), 'config', 'componentId'], model)
    expect(found).toContain('payment-processor')
    expect(found).not.toContain('router')
  })
})

describe('the judgement of the browser', () => {
  it.each(valid)('finds nothing wrong in %s', (_, text) => {
    expect(judged(lens(text)).map(({ line, message }) => `${line}: ${message}`)).toEqual([])
  })

  it.each([
    ['    type: http.router', '    type: http.ruoter', /no module type/, ''],
    ['      burstSize:', '      burstSise:', 'unknown key `burstSise`', "did you mean 'burstSize'?"],
    ['      componentId: payment-processor', '      componentId: payment-procesor', 'no module', 'payment-processor'],
  ])('sees %s becoming %s', (from, to, message, help) => {
    expect(monolith).toContain(from)
    const [first] = judged(lens(monolith.replace(from, to)))
    expect(first?.message).toMatch(message)
    expect(first?.help).toContain(help)
    expect(monolith.replace(from, to).split('\n')[(first?.line ?? 0) - 1]).toContain(to.trim().split(' ')[0])
  })
})

describe('boxes', () => {
  it('lie apart, and always in the same places', () => {
    const graph = graphOf(lens(largeConfig()))
    const places = Object.values(placed(graph))
    expect(places).toHaveLength(graph.names.length)
    const rows = new Map<number, number[]>()
    for (const { x, y } of places) rows.set(y, [...(rows.get(y) ?? []), x])
    for (const row of rows.values()) {
      row.sort((one, other) => one - other)
      for (const [index, x] of row.slice(1).entries()) expect(x - (row[index] ?? 0)).toBeGreaterThanOrEqual(BOX.width)
    }
    expect(placed(graph)).toEqual(placed(graphOf(lens(largeConfig()))))
  })

  it('stay where they are when another one comes', () => {
    const known = { a: { x: 5, y: 5 }, b: { x: 900, y: 5 } }
    const all = completed(['a', 'b', 'c'], known, { a: { x: 0, y: 0 }, b: { x: 1, y: 1 }, c: { x: 5, y: 5 } })
    expect(all).toMatchObject(known)
    expect(all.c?.y).toBeGreaterThan(BOX.height)
  })
})

describe('a place of the text', () => {
  it('is the module that it is in, or what else has a form', () => {
    const model = lens(monolith)
    const at = (text: string) => monolith.indexOf(text) + 2
    expect(selectionAt(model, at('resourceName: orders'))).toEqual({ modules: ['orders-api'] })
    expect(pathAt(model, at('resourceName: orders')).slice(2)).toEqual(['config', 'resourceName'])
    expect(selectionAt(model, at('initialState: new')).path?.slice(0, 3)).toEqual([
      'workflows',
      'statemachine',
      'definitions',
    ])
  })
})
