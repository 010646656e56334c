import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Edge } from './edges.ts'
import { lens, usesOf } from './lens.ts'
import type { OutlineItem } from './outline.ts'
import { repositoryFile, repositoryFiles } from './testing/corpus.ts'

const MONOLITH = repositoryFile('configs/monolith.yaml')
const ORDERS = repositoryFile('configs/orders.yaml')
const model = lens(MONOLITH)

/** What the host reads from its environment. */
const variable = (name: string) => `$\{${name}}`

const drawn = ({ kind, from, via, to, labels }: Edge) =>
  `${kind}: ${[from, ...via, to].join(' > ')}${labels.length > 0 ? ` (${labels.join('; ')})` : ''}`
const edges = (text: string, kind: string) =>
  lens(text)
    .edges.filter((edge) => edge.kind === kind)
    .map(drawn)

describe('modules', () => {
  it('are what the text says, with what they are called and the one thing to know of them', () => {
    expect(model.modules.map(({ name }) => name)).toEqual(
      parse(MONOLITH).modules.map((module: { name: string }) => module.name),
    )
    expect(
      model.modules
        .slice(0, 2)
        .map(({ name, label, role, fact, known, flaw }) => ({ name, label, role, fact, known, flaw })),
    ).toEqual([
      {
        name: 'web-server',
        label: 'HTTP Server',
        role: 'edge',
        fact: variable('LISTEN:-0.0.0.0:8080'),
        known: true,
        flaw: null,
      },
      { name: 'router', label: 'HTTP Router', role: 'edge', fact: '/api', known: true, flaw: null },
    ])
    for (const { from, to, name } of model.modules) expect(MONOLITH.slice(from, to)).toContain(`name: ${name}`)
  })

  it('of types that this host does not know are shown as they are', () => {
    const [module] = lens('modules:\n  - name: cron\n    type: scheduler\n    ui_position: {x: 1, y: -2}\n').modules
    expect(module).toMatchObject({
      name: 'cron',
      type: 'scheduler',
      label: 'scheduler',
      role: 'other',
      known: false,
      drawnAt: { x: 1, y: -2 },
    })
  })

  it('are used where they are named', () => {
    const places = usesOf(model, 'payment-processor').map(({ path: [, index, ...rest] }) => [
      model.modules[Number(index)]?.name,
      rest.join('/'),
    ])
    expect(places).toEqual([
      ['step-payment', 'dependsOn/0'],
      ['step-refund', 'dependsOn/0'],
      ['step-payment', 'config/componentId'],
      ['step-refund', 'config/componentId'],
    ])
  })
})

describe('edges', () => {
  it('lead from a dependency to what needs it', () => {
    expect(edges(MONOLITH, 'dependency').slice(0, 2)).toEqual([
      'dependency: web-server > router',
      'dependency: router > cors',
    ])
  })

  it('bundle the routes that pass the same middlewares to the same handler', () => {
    expect(edges(MONOLITH, 'serves')).toEqual(['serves: web-server > router'])
    expect(edges(MONOLITH, 'route').slice(0, 3)).toEqual([
      'route: router > cors > request-id > rate-limiter > auth (POST /api/auth/register; POST /api/auth/login; POST /api/auth/password/forgotten; POST /api/auth/password/reset)',
      'route: router > cors > request-id > rate-limiter > auth-middleware > auth (GET /api/auth/profile; PUT /api/auth/profile; POST /api/auth/renew; POST /api/auth/sudo; PUT /api/auth/password; POST /api/auth/totp; POST /api/auth/totp/confirm; DELETE /api/auth/totp; GET /api/admin/users; GET /api/admin/users/{id}; PUT /api/admin/users/{id}/roles; POST /api/admin/users/{id}/disable; POST /api/admin/users/{id}/enable)',
      'route: router > cors > request-id > rate-limiter > products-api (GET /api/products; GET /api/products/{id})',
    ])
  })

  it('tell what settings mean', () => {
    const meant = ['workflow', 'catalogue', 'database', 'grant', 'component', 'limit'].flatMap((kind) =>
      edges(MONOLITH, kind),
    )
    expect(meant).toEqual([
      'workflow: orders-api > order-state',
      'workflow: refunds-api > order-state',
      'catalogue: orders-api > products-api',
      'database: persistence > order-db',
      'grant: inventory-checker > products-api (stock)',
      'component: step-validate > inventory-checker',
      'component: step-payment > payment-processor',
      'component: step-shipping > shipping-service',
      'component: step-refund > payment-processor',
      'component: step-restock > inventory-checker',
      'component: notification-handler > notification-sender',
      'limit: spa > rate-limiter',
    ])
  })

  it('tell what starts what, and who hears of it', () => {
    expect(edges(MONOLITH, 'hook').slice(0, 2)).toEqual([
      'hook: order-state > step-validate (on start_validation)',
      'hook: order-state > step-payment (on start_payment, retry_payment)',
    ])
    expect(edges(MONOLITH, 'subscription')).toEqual([
      'subscription: event-broker > notification-handler (order.created; order.validated; order.paid; order.shipped; order.delivered; order.cancelled; user.password_forgotten)',
      'subscription: event-broker > refund-handler (refund.created; refund.refunded; refund.refused)',
    ])
    expect(edges(MONOLITH, 'trigger')).toEqual([
      'trigger: orders-api > order-state (POST /api/orders: start_validation)',
      'trigger: event-broker > order-state (order.validated: start_payment; order.paid: start_shipping)',
    ])
  })

  it('lead to other processes', () => {
    const targets = edges(repositoryFile('configs/gateway.yaml'), 'proxy')
    expect(targets.length).toBeGreaterThan(1)
    expect(targets.every((edge) => edge.includes('://') || edge.includes('$'))).toBe(true)
    const several =
      'modules:\n  - {name: p, type: http.simple_proxy, config: {targets: {/api: ["http://a", "http://b"]}}}\n'
    expect(edges(several, 'proxy')).toEqual(['proxy: p > http://a (/api)', 'proxy: p > http://b (/api)'])
  })

  it('are whole in every config that comes with the program, and broken where a name stands for nothing', () => {
    for (const text of [MONOLITH, ORDERS])
      expect(
        lens(text)
          .edges.filter(({ whole }) => !whole)
          .map(drawn),
      ).toEqual([])
    const broken = lens('modules:\n  - {name: a, type: x, dependsOn: [none]}\n').edges
    expect(broken).toMatchObject([{ from: 'none', to: 'a', whole: false, paths: [['modules', 0, 'dependsOn', 0]] }])
  })

  it('find a component by its other name', () => {
    const text = `modules:
  - {name: one, type: dynamic.component, config: {componentId: other, source: a.wasm}}
  - {name: step, type: processing.step, config: {componentId: other}}
`
    expect(edges(text, 'component')).toEqual(['component: step > one'])
  })
})

describe('machines', () => {
  const machine = model.machines[0]
  const state = (name: string) => machine?.states.find((one) => one.name === name)
  const makers = (name: string) => machine?.transitions.find((one) => one.name === name)?.makers

  it('have their states, and know which of these wait for a step', () => {
    expect(machine).toMatchObject({ name: 'order-processing', initial: 'new' })
    expect(machine?.states.filter(({ awaits }) => awaits).map(({ name, awaits }) => [name, awaits])).toEqual([
      ['validating', 'step-validate'],
      ['paying', 'step-payment'],
      ['shipping', 'step-shipping'],
    ])
    expect([state('failed'), state('paid')]).toMatchObject([
      { isFinal: true, isError: true },
      { isFinal: false, isError: false, description: 'Payment confirmed, ready for shipping' },
    ])
  })

  it('have their transitions, and know everything that makes them', () => {
    expect(makers('start_validation')).toEqual([{ by: 'request', method: 'POST', path: '/api/orders' }])
    expect(makers('start_payment')).toEqual([
      { by: 'automatic' },
      { by: 'event', topic: 'order.validated', event: 'order.validated' },
    ])
    expect(makers('payment_declined')).toEqual([{ by: 'step', step: 'step-payment', outcome: 'compensate' }])
    const refund = model.machines.find(({ name }) => name === 'refund')
    const answers = refund?.transitions.map(({ name, makers: all }) => [name, all.find(({ by }) => by === 'step')])
    expect(Object.fromEntries(answers ?? [])).toMatchObject({
      refund_made: { step: 'step-refund', outcome: 'success' },
      refund_unanswered: { step: 'step-refund', outcome: 'failure' },
      refund_refused: { step: 'step-refund', outcome: 'reject' },
      restock_failed: { step: 'step-restock', outcome: 'compensate' },
    })
    const timer = {
      by: 'timer',
      after: variable('PAYMENT_RETRY_AFTER:-10s'),
      maxAttempts: '3',
      exhausted: 'abandon_payment',
    }
    expect(makers('retry_payment')).toEqual([timer, { by: 'action', handler: 'orders-api', action: 'retry' }])
    expect(makers('abandon_payment')).toMatchObject([
      { by: 'deadline', since: 'validated' },
      { by: 'action', action: 'cancel' },
      { by: 'exhausted', transition: 'retry_payment' },
    ])
  })
})

describe('the outline', () => {
  const lines = (items: OutlineItem[], depth = 0): string[] =>
    items.flatMap(({ label, detail, children }) => [
      `${'  '.repeat(depth)}${label}${detail ? `: ${detail}` : ''}`,
      ...lines(children, depth + 1),
    ])

  it('has everything in words, and a place in the text for each', () => {
    const told = lines(model.outline)
    expect(told.filter((line) => !line.startsWith(' '))).toEqual([
      'Modules',
      'Routes',
      'Machines',
      'Hooks',
      'Subscriptions',
      'Triggers',
    ])
    expect(told).toContain('    step-payment: Processing Step')
    expect(told).toContain('  GET /api/products: products-api')
    expect(told).toContain('    paying: step-payment')
    expect(told).toContain('      payment_declined: to payment_failed')
    const places = (items: OutlineItem[]): OutlineItem[] => items.flatMap((item) => [item, ...places(item.children)])
    for (const { path, label } of places(model.outline))
      if (path) expect(model.source.entry(path), label).not.toBeNull()
  })
})

describe('a text', () => {
  it('of whatever kind is seen, and never breaks the view', () => {
    for (const [name, text] of repositoryFiles()) {
      const seen = lens(text)
      expect(seen.modules.length, name).toBeGreaterThanOrEqual(0)
    }
    const odd = [
      '',
      '#',
      '[]',
      '1',
      'modules: 1',
      'modules: [1, [], {name: []}]',
      'modules: {a: 1}',
      'workflows: [1]',
      'triggers: {http: 1}',
    ]
    for (const text of [
      ...odd,
      'modules: [{name: a, type: api.handler, config: [1], dependsOn: {a: 1}}]',
      'workflows: {statemachine: {hooks: [1], definitions: [1]}}',
    ]) {
      expect(lens(text).readOnly, text).toBeNull()
    }
  })

  it.each([
    ['aliases that multiply', repositoryFile('host/tests/config/invalid/bomb.yaml'), 'repeat each other without end'],
    ['an alias within its own anchor', 'a: &x [*x]\n', 'repeat each other without end'],
    ['an alias of nothing', 'a: *x\n', 'alias'],
    ['several documents', 'a: 1\n---\nb: 2\n', 'several documents'],
    ['a mistake', 'a: [1\nb: 2\n', 'cannot be read as YAML'],
  ])('with %s can be edited as text only, and says why in one sentence', (_, text, why) => {
    const begun = performance.now()
    expect(lens(text).readOnly).toContain(why)
    expect(performance.now() - begun).toBeLessThan(2000)
  })

  it('with aliases and merge keys shows what these stand for, and says what cannot be edited in a form', () => {
    const text = `
x-steps: &steps {maxRetries: 1}
modules:
  - name: one
    type: processing.step
    config: {<<: *steps, componentId: c}
  - name: two
    type: processing.step
    config: *steps
  - {name: three, type: x}
`
    const { modules, source, readOnly } = lens(text)
    expect(readOnly).toBeNull()
    expect(modules.map(({ config }) => config)).toEqual([{ maxRetries: 1, componentId: 'c' }, { maxRetries: 1 }, {}])
    const flaws = [0, 1, 2].map((index) => source.flaw(['modules', index, 'config', 'maxRetries']))
    expect(flaws).toEqual([
      'It takes keys from elsewhere by `<<`; edit it as text.',
      'It repeats what `&steps` stands for; edit it as text.',
      null,
    ])
  })

  it('is read once, however often it is looked at', () => {
    expect(lens(ORDERS)).toBe(lens(ORDERS))
  })
})
