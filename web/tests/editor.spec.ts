/** What the editor's gestures write is what the host accepts: its own verdict on every text. No page and no browser are needed. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { addModule, addRoute, type Change } from '../src/console/commands.ts'
import { connect } from '../src/console/connect.ts'
import { applied } from '../src/console/edits.ts'
import { lens, type Model } from '../src/console/lens.ts'
import { addState, addTransition, dropComponent } from '../src/console/machineCommands.ts'
import { rename } from '../src/console/rename.ts'
import { binary, repository } from './running/program'

const components = process.env.COMPONENTS_DIR ?? join(repository, 'target/components')
const config = (name: string) => readFileSync(join(repository, `configs/${name}.yaml`), 'utf8')

/** The text after some gestures, each on what the one before left. */
function edited(text: string, ...gestures: ((model: Model) => Change)[]): string {
  return gestures.reduce((before, gesture) => applied(before, gesture(lens(before)).edits), text)
}

/** What the host says about a text, a line for each problem. */
function problems(text: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-editor-'))
  try {
    mkdirSync(join(folder, 'web'))
    const file = join(folder, 'edited.yaml')
    writeFileSync(file, text)
    const env = {
      ...process.env,
      JWT_SECRET: 'a-secret-of-more-than-32-bytes-for-tests',
      INTERNAL_SECRET: 'a-secret-of-more-than-32-bytes-for-tests',
      COMPONENTS_DIR: components,
      PRODUCTS_SEED: join(repository, 'seed/products.json'),
      WEB_ROOT: join(folder, 'web'),
    }
    return told(file, env).map(({ line, message }) => `${line}: ${message}`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function told(file: string, env: NodeJS.ProcessEnv): { line: number; message: string }[] {
  try {
    return JSON.parse(execFileSync(binary, ['validate', '--format', 'json', file], { env, encoding: 'utf8' })).problems
  } catch (error) {
    // A config that is not valid ends it with an error, and is told all the same.
    const output = (error as { stdout?: string }).stdout
    if (!output) throw error
    return JSON.parse(output).problems
  }
}

for (const name of ['monolith', 'orders']) {
  test(`a component that is dropped on a state of ${name} makes a valid config`, () => {
    const text = edited(config(name), (model) =>
      dropComponent(model, {
        workflow: 'order-processing',
        state: 'validated',
        component: { name: 'fraud-checker', config: { source: join(components, 'payment.wasm') } },
        step: { name: 'step-fraud', config: { maxRetries: 1, timeoutSeconds: 15 } },
        success: { transition: 'fraud_cleared', to: 'cleared' },
        compensate: { transition: 'fraud_detected' },
      }),
    )
    expect(problems(text)).toEqual([])
  })
}

for (const name of ['monolith', 'orders']) {
  test(`${name} is valid when everything in it has another name`, () => {
    const text = config(name)
    const named = lens(text).names.filter(({ place }) => place.defines)
    expect(named.length).toBeGreaterThan(60)
    // A workflow last: the states and transitions before it are found by its name.
    const sequence = [...named].sort(
      (one, other) => Number(one.kind === 'workflow') - Number(other.kind === 'workflow'),
    )
    const renamed = edited(
      text,
      ...sequence.map(
        ({ kind, name: old, workflow }) =>
          (model: Model) =>
            rename(model, { kind, name: old, ...(workflow !== null && { workflow }) }, `new_${old}`),
      ),
    )
    expect(problems(renamed)).toEqual([])
  })
}

test('a valid config is valid with another route, another state and transitions to and from it', () => {
  const workflow = 'order-processing'
  const by = (action: string) => ({ by: 'action', handler: 'orders-api', action }) as const
  const text = edited(
    config('monolith'),
    (model) => addRoute(model, { method: 'DELETE', path: '/api/products/{id}', handler: 'products-api' }),
    (model) =>
      addState(model, { workflow, name: 'in_review', description: 'A person looks at it', after: 'payment_failed' }),
    (model) =>
      addTransition(model, { workflow, name: 'review', from: 'payment_failed', to: 'in_review', maker: by('review') }),
    (model) =>
      addTransition(model, { workflow, name: 'refuse', from: 'in_review', to: 'cancelled', maker: by('cancel') }),
  )
  expect(problems(text)).toEqual([])
})

test('a config that is made of gestures alone is valid', () => {
  const types = [
    'http.server',
    'http.router',
    'http.middleware.cors',
    'http.middleware.requestid',
    'http.middleware.ratelimit',
  ]
  const more = [
    'database.workflow',
    'persistence.store',
    'auth.jwt',
    'http.middleware.auth',
    'metrics.collector',
    'health.checker',
  ]
  const text = edited(
    '',
    ...[...types, ...more].map((type) => (model: Model) => addModule(model, { type })),
    (model) => addModule(model, { type: 'api.handler', name: 'notes-api' }),
    (model) => connect(model, 'http-server', 'http-router')[0]?.make() as Change,
    (model) => connect(model, 'http-router', 'notes-api')[0]?.make({ method: 'POST', path: '/notes' }) as Change,
    (model) => connect(model, 'auth-middleware', 'notes-api')[0]?.make() as Change,
    (model) => addRoute(model, { method: 'GET', path: '/notes/{id}', handler: 'notes-api' }),
    (model) => addRoute(model, { method: 'POST', path: '/login', handler: 'accounts-jwt' }),
  )
  expect(problems(text)).toEqual([])
})

test('the host tells what is wrong with a text', () => {
  expect(problems('modules:\n  - {name: a, type: http.router, dependsOn: [none]}\n').join()).toContain("'none'")
})
