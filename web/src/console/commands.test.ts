import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { addModule, addRoute, appendItem, type Change, insertKey, moveItem, remove, setValue } from './commands.ts'
import { connect } from './connect.ts'
import { deleteModule } from './deleting.ts'
import { applied } from './edits.ts'
import { lens } from './lens.ts'
import { MODULE_TYPES } from './moduleTypes.ts'
import { rename } from './rename.ts'
import { repositoryFile } from './testing/corpus.ts'
import { diff, edited } from './testing/gestures.ts'

const MONOLITH = repositoryFile('configs/monolith.yaml')
const ORDERS = repositoryFile('host/tests/config/valid/original-orders.yaml')

describe('a new module', () => {
  it('comes after the last one of its type, with a blank line where the others have one, and lists as they have them', () => {
    const text = edited(MONOLITH, (model) =>
      addModule(model, { type: 'messaging.handler', name: 'refunds', config: { topic: 'order.cancelled' } }),
    )
    expect(diff(MONOLITH, text)).toEqual([
      '+  - name: refunds',
      '+    type: messaging.handler',
      '+    config:',
      '+      topic: order.cancelled',
      '+    dependsOn: [event-broker]',
      '+',
    ])
    expect(text.indexOf('name: refunds\n')).toBeGreaterThan(text.indexOf('component: notification-sender'))
    expect(text.indexOf('name: refunds\n')).toBeLessThan(text.indexOf('# --- Operation'))
  })

  it('hears what the first one hears when it is a handler of events', () => {
    const heard = (text: string) => {
      const model = lens(text)
      const { name, edits } = addModule(model, { type: 'messaging.handler' })
      return lens(applied(text, edits)).modules.find((module) => module.name === name)?.config.topic
    }
    const first = lens(MONOLITH).modules.find(({ type }) => type === 'messaging.handler')
    expect(heard(MONOLITH)).toBe(first?.config.topic)
    expect(heard('modules: []\n')).toBe('message.*')
  })

  it('is written with the quotes and lists of the file', () => {
    const text = edited(ORDERS, (model) =>
      addModule(model, { type: 'messaging.handler', name: 'refunds', config: { topic: 'order.cancelled' } }),
    )
    expect(diff(ORDERS, text)).toEqual([
      '+  - name: refunds',
      '+    type: messaging.handler',
      '+    config:',
      '+      topic: "order.cancelled"',
      '+    dependsOn:',
      '+      - event-broker',
      '+',
    ])
  })

  it('is written with braces where the others are, and with four columns and CRLF where the file has these', () => {
    const braces = 'modules:\n  - {name: a, type: health.checker}\n'
    expect(edited(braces, (model) => addModule(model, { type: 'http.server' }))).toBe(
      `${braces}  - {name: http-server, type: http.server, config: {address: 0.0.0.0:8080}}\n`,
    )
    const wide = 'modules:\r\n- name: a\r\n  type: http.router\r\n  config:\r\n      prefix: /a\r\n'
    expect(edited(wide, (model) => addModule(model, { type: 'http.server' }))).toBe(
      `${wide}- name: http-server\r\n  type: http.server\r\n  config:\r\n      address: 0.0.0.0:8080\r\n`,
    )
  })

  it.each([
    ['an empty file', '', 'modules:\n  - name: health-checker\n    type: health.checker\n'],
    ['comments alone', '# mine', '# mine\nmodules:\n  - name: health-checker\n    type: health.checker'],
    ['an empty list', 'modules: []\n', 'modules:\n  - name: health-checker\n    type: health.checker\n'],
    [
      'a key without a value',
      'modules: # none\nx-a: 1\n',
      'modules: # none\n  - name: health-checker\n    type: health.checker\nx-a: 1\n',
    ],
  ])('begins the modules of %s', (_, before, wanted) => {
    expect(edited(before, (model) => addModule(model, { type: 'health.checker' }))).toBe(wanted)
  })

  it('has another name than all others, and cannot be given one of theirs', () => {
    expect(addModule(lens(MONOLITH), { type: 'http.router' }).name).toBe('http-router')
    expect(addModule(lens('modules: [{name: http-router, type: x}]'), { type: 'http.router' }).name).toBe(
      'http-router-2',
    )
    expect(() => addModule(lens(MONOLITH), { type: 'http.router', name: 'spa' })).toThrow(
      'There is a module named `spa` already.',
    )
  })

  it.each(MODULE_TYPES.map(({ type }) => type))('of type %s says what it has to say', (type) => {
    const { name, edits } = addModule(lens(MONOLITH), { type })
    const module = lens(applied(MONOLITH, edits)).modules.find((own) => own.name === name)
    expect(module).toMatchObject({ type, known: true, flaw: null })
  })
})

describe('a module that is deleted', () => {
  it('goes with its comment and from the lists that name it; what else names it is left, and told', () => {
    const { edits, left } = deleteModule(lens(MONOLITH), 'rate-limiter')
    const text = applied(MONOLITH, edits)
    expect(text).not.toContain('One bucket per client address')
    expect(text).toContain(
      '  - name: request-id\n    type: http.middleware.requestid\n    dependsOn: [cors]\n\n  # --- Users',
    )
    expect(text).toContain('dependsOn: [persistence]')
    expect(text).not.toMatch(/middlewares: .*rate-limiter/)
    expect(left.map(({ path }) => path.slice(2).join('/'))).toEqual(['config/rateLimit/limiter'])
  })

  it('stays in the lists of routes if it asks who somebody is: without it they would be open', () => {
    const { edits, left } = deleteModule(lens(MONOLITH), 'auth-middleware')
    const text = applied(MONOLITH, edits)
    expect(text.match(/middlewares: .*auth-middleware/g)?.length).toBe(
      MONOLITH.match(/middlewares: .*auth-middleware/g)?.length,
    )
    expect(new Set(left.map(({ path }) => path.at(-2)))).toEqual(new Set(['middlewares']))
  })

  it('takes the key with it whose list was of it alone, and leaves the headings of the file', () => {
    const text = edited(MONOLITH, (model) => deleteModule(model, 'web-server'))
    expect(text).toContain('  # --- Web server and middleware')
    expect(text).toContain('  - name: router\n    type: http.router\n    config:\n      prefix: /api\n\n  - name: cors')
  })

  it('leaves an empty list where it was the last one', () => {
    expect(edited('modules:\n  - name: a\n    type: x\n', (model) => deleteModule(model, 'a'))).toBe('modules: []\n')
  })
})

describe('single gestures', () => {
  it('set a value in the quotes that it had, beside its comment', () => {
    const text = 'a: \'one\' # why\nb: "two"\nc: three\nd: |\n  text\n  more\ne:\n'
    const made = [
      ['a', "it's", "a: 'it''s' # why"],
      ['b', 'x"y', 'b: "x\\"y"'],
      ['c', 'yes', 'c: "yes"'],
      ['c', 12, 'c: 12'],
      ['d', 'other\nlines\n', 'd: |\n  other\n  lines\n'],
      ['d', 'one line', 'd: one line\n'],
      ['e', 'there', 'e: there'],
    ] as const
    for (const [key, value, wanted] of made) {
      expect(edited(text, (model) => setValue(model, [key], value))).toContain(wanted)
    }
  })

  it('make the maps that are missing', () => {
    const text = 'modules:\n  - name: a\n    type: http.server\n    dependsOn: [b]\n'
    expect(edited(text, (model) => insertKey(model, ['modules', 0, 'config', 'limits'], 'deep', 1))).toBe(
      `${text}    config:\n      limits:\n        deep: 1\n`,
    )
  })

  it('remove a key with its comment, pull the next one up to the dash, and leave `{}` of nothing', () => {
    expect(edited('a:\n  # of b\n  b: 1\n  c: 2\n', (model) => remove(model, ['a', 'b']))).toBe('a:\n  c: 2\n')
    expect(edited('- name: x\n  type: y\n', (model) => remove(model, [0, 'name']))).toBe('- type: y\n')
    expect(edited('- name: x\n  # of type\n  type: y\n', (model) => remove(model, [0, 'name']))).toBe(
      '-\n  # of type\n  type: y\n',
    )
    expect(edited('a:\n  b: 1 # one\nc: 2\n', (model) => remove(model, ['a', 'b']))).toBe('a: {}\nc: 2\n')
    expect(edited('a: [x, y, z]\n', (model) => remove(model, ['a', 1]))).toBe('a: [x, z]\n')
  })

  it('append to lists of both kinds, and move items with the comments above them', () => {
    expect(edited('a: [x]\n', (model) => appendItem(model, ['a'], 'w'))).toBe('a: [x, w]\n')
    expect(edited('a:\n  - x # one\n# end\n', (model) => appendItem(model, ['a'], 'w'))).toBe(
      'a:\n  - x # one\n  - w\n# end\n',
    )
    const text = 'a:\n  - x\n\n  # of y\n  - y: 1\n    z: 2\n\n  - w'
    const moved = edited(text, (model) => moveItem(model, ['a'], 1, 2))
    expect(moved).toBe('a:\n  - x\n\n  - w\n\n  # of y\n  - y: 1\n    z: 2')
    expect(edited(moved, (model) => moveItem(model, ['a'], 2, 1))).toBe(text)
  })

  it.each([
    ['an alias', 'a: &x {b: 1}\nc: *x\n', ['c', 'b'], 'what `&x` stands for'],
    ['what an alias repeats', 'a: &x {b: 1}\nc: *x\n', ['a', 'b'], 'by the anchor `&x`'],
    ['a merge key', 'a: &x {b: 1}\nc: {<<: *x, d: 1}\n', ['c', 'd'], 'by `<<`'],
    ['a key that is there twice', 'a: {b: 1, b: 2}\n', ['a', 'b'], 'the key `b` twice'],
    ['a tag', 'a: !!str 1\n', ['a'], 'the tag'],
    ['several documents', 'a: 1\n---\nb: 1\n', ['a'], 'several documents'],
    ['a text that cannot be read', 'a: "x\n', ['a'], 'cannot be read as YAML'],
  ])('refuse %s, and say why', (_, text, path, why) => {
    expect(() => setValue(lens(text), path, 2)).toThrow(why)
  })

  it('refuse what they cannot do without a change to something else', () => {
    expect(() => remove(lens('a: |\n  x\nb: 1\n  # deep\nc: 2\n'), ['b'])).toThrow('edit it as text')
  })
})

describe('a route', () => {
  it('comes after the others of its handler and goes through what they go through', () => {
    const text = edited(MONOLITH, (model) =>
      addRoute(model, { method: 'DELETE', path: '/api/products/{id}', handler: 'products-api' }),
    )
    expect(diff(MONOLITH, text)).toEqual([
      '+      - method: DELETE',
      '+        path: /api/products/{id}',
      '+        handler: products-api',
      '+        middlewares: [request-id, rate-limiter, auth-middleware]',
    ])
    expect(text.indexOf('DELETE\n')).toBeLessThan(text.indexOf('path: /api/orders\n'))
  })

  it('is written in braces where the others are', () => {
    const text = repositoryFile('configs/gateway.yaml')
    const [first] = lens(text).routes
    const next = edited(text, (model) =>
      addRoute(model, { method: 'PATCH', path: '/api/new', handler: first?.handler ?? '' }),
    )
    expect(lens(next).routes).toHaveLength(lens(text).routes.length + 1)
    expect(diff(text, next).every((line) => line.startsWith('+'))).toBe(true)
  })

  it('brings its section with it, and is refused where there is one already or nothing serves it', () => {
    const modules = 'modules:\n  - {name: web, type: http.server}\n  - {name: r, type: http.router}\n'
    const given = { method: 'GET', path: '/a', handler: 'h' }
    const text = edited(modules, (model) => addRoute(model, given))
    expect(parse(text).workflows).toEqual({ http: { router: 'r', server: 'web', routes: [given] } })
    expect(() => addRoute(lens(text), given)).toThrow('GET /a is answered by `h` already.')
    expect(() => addRoute(lens('modules: []\n'), given)).toThrow('needs an HTTP Server and an HTTP Router')
  })
})

describe('renaming', () => {
  it.each([
    ['module', 'payment-processor', undefined],
    ['module', 'order-state', undefined],
    ['module', 'event-broker', undefined],
    ['module', 'auth-middleware', undefined],
    ['module', 'products-api', undefined],
    ['module', 'rate-limiter', undefined],
    ['resource', 'orders', undefined],
    ['workflow', 'order-processing', undefined],
    ['state', 'payment_failed', 'order-processing'],
    ['state', 'validated', 'order-processing'],
    ['transition', 'retry_payment', 'order-processing'],
    ['transition', 'abandon_payment', 'order-processing'],
    ['transition', 'start_payment', 'order-processing'],
  ] as const)(
    'the %s %s leaves no place that names it, changes nothing else, and back again gives the same bytes',
    (kind, name, workflow) => {
      const what = { kind, ...(workflow ? { workflow } : {}) }
      const text = edited(MONOLITH, (model) => rename(model, { ...what, name }, 'another-name'))
      const [before, now] = [lens(MONOLITH), lens(text)]
      const named = (model: typeof before, own: string) =>
        model.names.filter((one) => one.kind === kind && one.name === own).length
      expect([named(before, name), named(now, 'another-name'), named(now, name)]).toEqual([
        named(before, name),
        named(before, name),
        0,
      ])
      expect(text.replaceAll('another-name', name)).toBe(MONOLITH)
      expect(edited(text, (model) => rename(model, { ...what, name: 'another-name' }, name))).toBe(MONOLITH)
    },
  )

  it('a state renames the topics that it is told of by', () => {
    const text = edited(MONOLITH, (model) =>
      rename(model, { kind: 'state', name: 'validated', workflow: 'order-processing' }, 'checked'),
    )
    expect(text).toContain('topics: [order.created, order.checked, order.paid,')
    expect(text).toContain('      - topic: order.checked\n        event: order.checked\n')
    expect(text).not.toContain('order.validated')
  })

  it('is refused for names that are taken, empty, or shared between workflows', () => {
    const model = lens(MONOLITH)
    expect(() => rename(model, { kind: 'module', name: 'spa' }, 'auth')).toThrow(
      'There is a module named `auth` already.',
    )
    expect(() => rename(model, { kind: 'module', name: 'spa' }, ' ')).toThrow('needs a name')
    expect(() => rename(model, { kind: 'module', name: 'none' }, 'a')).toThrow('There is no module `none`.')
    const shared = `
modules: [{name: s, type: processing.step, config: {componentId: c, successTransition: go, compensateTransition: no}}]
workflows:
  statemachine:
    definitions:
      - {name: one, initialState: a, states: {a: {}, b: {}}, transitions: {go: {fromState: a, toState: b}}}
      - {name: two, initialState: a, states: {a: {}, b: {}}, transitions: {go: {fromState: a, toState: b}}}
    hooks:
      - {workflowType: one, toStates: [a], handler: s}
      - {workflowType: two, toStates: [a], handler: s}
`
    expect(() => rename(lens(shared), { kind: 'transition', name: 'go', workflow: 'one' }, 'went')).toThrow(
      'moves `two` as well',
    )
  })
})

describe('a line from one module to another', () => {
  const labels = (from: string, to: string) =>
    connect(lens(MONOLITH), from, to).map(({ label, asks }) => [label, ...asks].join(' ? '))

  it('may mean several things, of which a person chooses one', () => {
    expect(labels('shipping-service', 'step-payment')).toEqual([
      'step-payment runs shipping-service',
      'step-payment depends on shipping-service',
    ])
    expect(labels('products-api', 'payment-processor')).toEqual([
      'payment-processor may call products-api ? service',
      'payment-processor depends on products-api',
    ])
    expect(labels('event-broker', 'notification-handler')).toEqual(['notification-handler hears of a topic ? topic'])
    expect(labels('auth-middleware', 'products-api')).toEqual([
      'All 2 routes of products-api that lack it pass auth-middleware',
      'products-api depends on auth-middleware',
    ])
    expect(labels('router', 'products-api')[0]).toBe('A route is answered by products-api ? method ? path')
  })

  it('writes one key, or one entry', () => {
    const make = (from: string, to: string, answers = {}) =>
      edited(MONOLITH, (model) => connect(model, from, to)[0]?.make(answers) as Change)
    expect(diff(MONOLITH, make('shipping-service', 'step-payment'))).toEqual([
      '-      componentId: payment-processor',
      '+      componentId: shipping-service',
    ])
    expect(diff(MONOLITH, make('products-api', 'payment-processor', { service: 'stock' }))).toEqual([
      '+      capabilities:',
      '+        http:',
      '+          - service: stock',
      '+            handler: products-api',
    ])
    expect(diff(MONOLITH, make('event-broker', 'notification-handler', { topic: 'order.failed' }))).toEqual([
      '+      - topic: order.failed',
      '+        handler: notification-handler',
    ])
    expect(diff(MONOLITH, make('health', 'metrics'))).toEqual(['+    dependsOn: [health]'])
    expect(() => make('event-broker', 'notification-handler')).toThrow('Say which topic.')
  })

  it('is refused, with the reason, where it means nothing', () => {
    expect(() => connect(lens(MONOLITH), 'router', 'web-server')).toThrow('would be a circle')
    expect(() => connect(lens(MONOLITH), 'spa', 'spa')).toThrow('not connected with itself')
    expect(() => connect(lens(MONOLITH), 'spa', 'none')).toThrow('no module named `none`')
  })
})
