import { expect, it, vi } from 'vitest'
import { applied } from '../edits.ts'
import { lens } from '../lens.ts'
import { repositoryFile } from '../testing/corpus.ts'
import { diff } from '../testing/gestures.ts'
import { explain, explainProblem } from './explain.ts'
import { duration, EXAMPLES, understood } from './intents.ts'
import { suggestions } from './suggest.ts'

// The largest config is compared line by line, on whatever machine.
vi.setConfig({ testTimeout: 60_000 })

const MONOLITH = repositoryFile('configs/monolith.yaml')
/** As the config has it for its other components. */
const COMPONENTS = ['$', '{COMPONENTS_DIR:-../target/components}'].join('')
const PART = { modules: [], edge: null, path: null }

/** Lines that a sentence adds and takes away. */
function written(sentence: string, text = MONOLITH): string[] {
  const model = lens(text)
  const answer = understood(sentence, model)
  if (answer.kind !== 'proposal') throw new Error(answer.kind === 'refused' ? answer.message : 'not understood')
  return diff(text, applied(text, answer.proposal.make(model).edits))
}

/** A machine in which a few things are left out. */
const CARELESS = `modules:
  - name: web
    type: http.server
    config:
      address: 0.0.0.0:8080
  - name: router
    type: http.router
    dependsOn: [web]
  - name: claims-api
    type: api.handler
    config:
      resourceName: claims
      workflowType: claim
      workflowEngine: engine
      initialTransition: begin
  - name: engine
    type: statemachine.engine
  - name: judge
    type: dynamic.component
    config:
      source: ./judge.wasm
  - name: step-judge
    type: processing.step
    config:
      componentId: judge
      successTransition: judged
      compensateTransition: not_judged
workflows:
  http:
    router: router
    server: web
    routes:
      - method: POST
        path: /api/claims
        handler: claims-api
  statemachine:
    engine: engine
    definitions:
      - name: claim
        initialState: new
        states:
          new: {}
          judging: {}
          unclear: {}
          paid:
            isFinal: true
          lost:
            isFinal: true
            isError: true
        transitions:
          begin:
            fromState: new
            toState: judging
          judged:
            fromState: judging
            toState: paid
          not_judged:
            fromState: judging
            toState: unclear
    hooks:
      - workflowType: claim
        transitions: [begin]
        handler: step-judge
`

it('a step between two states is one gesture, with its component, its states, its hook and where a rejection leads', () => {
  expect(written('add a fraud check between validated and paying')).toEqual([
    '+  - name: fraud-checker',
    '+    type: dynamic.component',
    '+    config:',
    `+      source: ${COMPONENTS}/fraud-checker.wasm`,
    '+    dependsOn: [order-state]',
    '+',
    '+  - name: step-fraud',
    '+    type: processing.step',
    '+    config:',
    '+      componentId: fraud-checker',
    '+      successTransition: fraud_passed',
    '+      compensateTransition: fraud_failed',
    '+    dependsOn: [fraud-checker, order-state]',
    '+',
    '+          fraud_passed:',
    '+            description: Accepted by step-fraud',
    '-            fromState: validated',
    '+            fromState: fraud_passed',
    '+          fraud_passed:',
    '+            fromState: validated',
    '+            toState: fraud_passed',
    '+          fraud_failed:',
    '+            fromState: validated',
    '+            toState: failed',
    '+      - workflowType: order-processing',
    '+        toStates: [validated]',
    '+        handler: step-fraud',
  ])
})

it('a step on a way that something else makes has a state of its own, and what that way started starts after it', () => {
  const lines = written('Put a risk check between new and validating, otherwise cancelled')
  expect(lines).toContain('+            toState: checking_risk')
  expect(lines).toContain('-        transitions: [start_validation]')
  expect(lines).toContain('+        transitions: [risk_passed]')
  expect(lines.join('\n')).toContain(
    '+          risk_failed:\n+            fromState: checking_risk\n+            toState: cancelled',
  )
})

it('an approval is for staff alone, by a route of its own', () => {
  const lines = written('Add an approval by a person between validated and paying').join('\n')
  expect(lines).toContain('path: /api/admin/orders/{id}/approve')
  expect(lines).toContain('+          transitions: [approve]\n+          roles: [support]')
})

it('a timer says when, and where it leads', () => {
  expect(written('Please add a timer of 30 minutes to new, otherwise failed.')).toEqual([
    '+          new_timed_out:',
    '+            fromState: new',
    '+            toState: failed',
    '+            after: 30m',
  ])
  expect(['30 minutes', '10s', '2 hours', 'a day', '500 ms'].map(duration)).toEqual(['30m', '10s', '2h', '1d', '500ms'])
  expect(() => duration('soon')).toThrow('`soon` is no time. Accepted is a number with a unit')
})

it('what cannot be made says why, and what is not understood is not guessed', () => {
  const model = lens(MONOLITH)
  expect(understood('Add a fraud check between paid and new', model)).toEqual({
    kind: 'refused',
    message: 'No transition leads from `paid` to `new`. From there it goes to `shipping`.',
  })
  expect(understood('Add a timer of 5 minutes to payment_failed', model)).toEqual({
    kind: 'refused',
    message: '`retry_payment` leaves `payment_failed` by a timer already; a state has one.',
  })
  expect(understood('Make it better', model)).toEqual({ kind: 'unknown' })
  expect(understood('', model)).toEqual({ kind: 'unknown' })
  expect(understood(EXAMPLES[0] ?? '', lens('a: &b 1\n---\nc: 2\n')).kind).toBe('refused')
})

it('a component that is there is taken, and nothing is left to build then', () => {
  const model = lens(MONOLITH)
  const answer = understood('Add a payment step between validated and paying', model)
  expect(answer).toMatchObject({ kind: 'proposal', proposal: { left: [] } })
  expect(understood('Add a fraud check between validated and paying', model)).toMatchObject({
    proposal: { left: [expect.stringContaining('millrace new fraud-checker')] },
  })
})

it('explains a step with its states, its answers and the longest that it takes', () => {
  const { title, sentences } = explain(lens(MONOLITH), { ...PART, modules: ['step-payment'] })
  expect(title).toBe('step-payment')
  expect(sentences).toContain('It runs payment-processor when work enters paying of order-processing.')
  expect(sentences).toContain('If the answer is yes it makes payment_approved, to paid.')
  expect(sentences).toContain('All of it takes 93 seconds at most.')
})

it('explains a state by how work comes there and leaves it', () => {
  const model = lens(MONOLITH)
  const path = model.machines[0]?.states.find(({ name }) => name === 'payment_failed')?.path ?? []
  const { sentences } = explain(model, { ...PART, path: [...path] })
  expect(sentences[0]).toBe('Payment declined, may retry.')
  expect(sentences).toContain('Work comes here by payment_declined (from paying).')
  expect(sentences.find((one) => one.startsWith('abandon_payment'))).toContain('cancelled')
})

it('explains every module, route, state and transition of every config, and the config', () => {
  for (const name of ['monolith', 'gateway', 'orders', 'users-products']) {
    const model = lens(repositoryFile(`configs/${name}.yaml`))
    const selections = [
      PART,
      ...model.modules.map((module) => ({ ...PART, modules: [module.name] })),
      ...model.edges.map(({ id }) => ({ ...PART, edge: id })),
      ...model.routes.map(({ at }) => ({ ...PART, path: at })),
      ...model.machines.flatMap(({ path, states, transitions }) =>
        [{ path }, ...states, ...transitions].map((one) => ({ ...PART, path: one.path })),
      ),
    ]
    for (const selection of selections) {
      const { title, sentences } = explain(model, selection)
      expect(title).not.toBe('')
      expect(sentences.length).toBeGreaterThan(0)
      expect(sentences.join(' ')).not.toMatch(/undefined|\[object|null/)
    }
  }
})

it('says of a problem what it means and what comes of it', () => {
  expect(explainProblem({ code: 'unknown-name', severity: 'error' })).toBe(
    'It names something that this config does not have, or something of another kind. The host does not take a config with it.',
  )
  expect(explainProblem({ code: 'unused', severity: 'warning' })).toContain('The host takes the config all the same.')
})

it('suggests what a careful person would add, and each is gone once it is made', () => {
  let text = CARELESS
  const titles = suggestions(lens(text)).map(({ title }) => title)
  expect(titles).toEqual([
    'Nothing tries again from unclear',
    'No route has a limit of requests',
    'It has no health checks and metrics',
    'judge takes the file of any component',
  ])
  for (const title of titles.slice(0, 3)) {
    const model = lens(text)
    const own = suggestions(model).find((one) => one.title === title)
    text = applied(text, own?.make?.(model).edits ?? [])
  }
  expect(suggestions(lens(text)).map(({ title }) => title)).toEqual(['judge takes the file of any component'])
  const lines = diff(CARELESS, text)
  expect(lines).toContain('+        transitions: [begin, retry_judging]')
  expect(lines).toContain('+            exhausted: give_up_unclear')
})
