import { describe, expect, it } from 'vitest'
import { TextBuffer } from './buffer.ts'
import { deleteState, deleteTransition } from './deleting.ts'
import { applied } from './edits.ts'
import { lens } from './lens.ts'
import { addState, addTransition, dropComponent } from './machineCommands.ts'
import { repositoryFile } from './testing/corpus.ts'
import { diff, edited, patched } from './testing/gestures.ts'

const MONOLITH = repositoryFile('configs/monolith.yaml')
const ORDERS = repositoryFile('host/tests/config/valid/original-orders.yaml')

describe('states and transitions', () => {
  const flow = 'order-processing'

  it('are added where a person would write them', () => {
    const state = edited(MONOLITH, (model) =>
      addState(model, { workflow: flow, name: 'packed', description: 'In its box', after: 'paid' }),
    )
    expect(diff(MONOLITH, state)).toEqual(['+          packed:', '+            description: In its box'])
    const transition = edited(state, (model) =>
      addTransition(model, {
        workflow: flow,
        name: 'pack',
        from: 'paid',
        to: 'packed',
        maker: { by: 'timer', after: '5m' },
      }),
    )
    expect(diff(state, transition)).toEqual([
      '+          pack:',
      '+            fromState: paid',
      '+            toState: packed',
      '+            after: 5m',
    ])
    expect(transition).toContain('            autoTransform: true\n          pack:\n')
  })

  it('are written together with what makes them', () => {
    const text = edited(MONOLITH, (model) =>
      addTransition(model, {
        workflow: flow,
        name: 'give_up',
        from: 'paid',
        to: 'cancelled',
        maker: { by: 'action', handler: 'orders-api', action: 'cancel' },
      }),
    )
    expect(text).toContain('        cancel: [cancel_order, cancel_validated, abandon_payment, give_up]\n')
    const heard = edited(MONOLITH, (model) =>
      addTransition(model, {
        workflow: flow,
        name: 'stop',
        from: 'paid',
        to: 'cancelled',
        maker: { by: 'event', topic: 'fraud.found', event: 'fraud.found' },
      }),
    )
    expect(lens(heard).machines[0]?.transitions.find(({ name }) => name === 'stop')?.makers).toEqual([
      { by: 'event', topic: 'fraud.found', event: 'fraud.found' },
    ])
  })

  it('know an action that only some roles may ask for', () => {
    const claims = repositoryFile('host/tests/config/valid/roles.yaml')
    const more = edited(claims, (model) =>
      addTransition(model, {
        workflow: 'claim',
        name: 'settle_late',
        from: lens(claims).machines[0]?.initial ?? '',
        to: lens(claims).machines[0]?.transitions.find(({ name }) => name === 'settle')?.to ?? '',
        maker: { by: 'action', handler: 'claims-api', action: 'settle' },
      }),
    )
    expect(more).toContain('          transitions: [settle, settle_late]\n          roles: [finance, admin]\n')
    expect(edited(more, (model) => deleteTransition(model, 'claim', 'settle'))).toContain(
      '          transitions: [settle_late]\n',
    )
    expect(edited(claims, (model) => deleteTransition(model, 'claim', 'settle'))).toContain(
      '        withdraw: [withdraw]\n\n',
    )
    const makers = lens(claims).machines[0]?.transitions.find(({ name }) => name === 'settle')?.makers
    expect(makers).toEqual([{ by: 'action', handler: 'claims-api', action: 'settle' }])
  })

  it('are refused from a final state and to an unknown one', () => {
    const given = { workflow: flow, name: 'x', maker: { by: 'nobody yet' } } as const
    expect(() => addTransition(lens(MONOLITH), { ...given, from: 'delivered', to: 'paid' })).toThrow(
      '`delivered` is final',
    )
    expect(() => addTransition(lens(MONOLITH), { ...given, from: 'paid', to: 'lost' })).toThrow('no state `lost`')
  })
})

/** What a careful person adds to the monolith's config. The host's tests save it into a shop that takes orders. */
const FRAUD_IN_MONOLITH = patched(MONOLITH, repositoryFile('host/tests/it/configs/fraud-checker.diff'))

/** And to a config in which all names are in quotes and all lists have dashes, in `diff`'s words; in its own style. */
const FRAUD_IN_ORDERS = `
+  - name: fraud-checker
+    type: dynamic.component
+    config:
+      source: "../components/fraud_checker.wasm"
+      description: "Checks order for fraud signals"
+    dependsOn:
+      - order-state
+
+  - name: step-fraud
+    type: processing.step
+    config:
+      componentId: "fraud-checker"
+      successTransition: "fraud_cleared"
+      compensateTransition: "fraud_detected"
+      maxRetries: 1
+      timeoutSeconds: 15
+    dependsOn:
+      - fraud-checker
+      - order-state
+
+          cleared:
+            description: "No fraud signals, ready for payment"
-            fromState: "validated"
+            fromState: "cleared"
+          fraud_cleared:
+            fromState: "validated"
+            toState: "cleared"
+          fraud_detected:
+            fromState: "validated"
+            toState: "failed"
+        toStates: ["validated"]
+        handler: "step-fraud"
+      - workflowType: "order-processing"
`.trim()

describe('states and transitions that are deleted', () => {
  const workflow = 'order-processing'

  it('go from the lists that name them; a hook goes with the last transition that it was for', () => {
    const { edits, left } = deleteTransition(lens(MONOLITH), workflow, 'retry_payment')
    const text = applied(MONOLITH, edits)
    expect(text).toContain('        retry: [retry_shipping]\n')
    expect(text).toContain('        transitions: [start_payment]\n')
    expect(text).not.toContain('retry_payment')
    expect(left).toEqual([])

    const start = deleteTransition(lens(MONOLITH), workflow, 'start_validation')
    expect(applied(MONOLITH, start.edits)).not.toContain('handler: step-validate')
    expect(start.left.map(({ path }) => path.join('/'))).toEqual(['triggers/http/routes/0/action'])
  })

  it('take the transitions of a state with them, and tell what still names any of them', () => {
    const { edits, left } = deleteState(lens(MONOLITH), workflow, 'ship_failed')
    const machine = lens(applied(MONOLITH, edits)).machines[0]
    expect(machine?.states.map(({ name }) => name)).not.toContain('ship_failed')
    expect(
      machine?.transitions
        .map(({ name }) => name)
        .filter((name) => /ship_failed|shipping_failed|retry_shipping/.test(name)),
    ).toEqual([])
    expect(applied(MONOLITH, edits)).toContain('cancelled, failed, payment_failed]')
    expect(left.map(({ path }) => path.slice(2).join('/'))).toEqual([
      'config/figures/states/3',
      'config/draws/while/2',
      'config/compensateTransition',
      'config/draws/emptied',
    ])
  })

  it('are refused if they are not there', () => {
    expect(() => deleteState(lens(MONOLITH), workflow, 'none')).toThrow('no state `none`')
    expect(() => deleteTransition(lens(MONOLITH), workflow, 'none')).toThrow('no transition `none`')
  })
})

describe('a component that is dropped on a state', () => {
  const fraud = {
    workflow: 'order-processing',
    state: 'validated',
    component: {
      name: 'fraud-checker',
      config: { source: '../components/fraud_checker.wasm', description: 'Checks order for fraud signals' },
    },
    step: { name: 'step-fraud', config: { maxRetries: 1, timeoutSeconds: 15 } },
    success: { transition: 'fraud_cleared', to: 'cleared', description: 'No fraud signals, ready for payment' },
    compensate: { transition: 'fraud_detected' },
  }

  it('is one gesture and one step to undo: component, step, hook, state and transitions, as a careful person writes them', () => {
    const { edits, label } = dropComponent(lens(MONOLITH), fraud)
    const buffer = new TextBuffer(MONOLITH, () => 0)
    buffer.apply(edits, label)
    expect(buffer.text).toBe(FRAUD_IN_MONOLITH)
    expect(lens(buffer.text).machines[0]?.states.find(({ name }) => name === 'validated')?.awaits).toBe('step-fraud')
    buffer.undo()
    expect([buffer.text, buffer.undoLabel]).toEqual([MONOLITH, null])
  })

  it('is written in the quotes and lists of the file', () => {
    const text = edited(ORDERS, (model) => dropComponent(model, fraud))
    expect(diff(ORDERS, text)).toEqual(FRAUD_IN_ORDERS.split('\n'))
  })

  it('finds names by itself', () => {
    const { edits, step } = dropComponent(lens(MONOLITH), {
      workflow: 'order-processing',
      state: 'shipped',
      component: 'notification-sender',
      success: { to: 'told' },
    })
    expect(step).toBe('step-notification')
    const machine = lens(applied(MONOLITH, edits)).machines[0]
    expect(machine?.transitions.filter(({ from }) => from === 'shipped').map(({ name, to }) => [name, to])).toEqual([
      ['notification_passed', 'told'],
      ['notification_failed', 'failed'],
    ])
    expect(machine?.transitions.find(({ name }) => name === 'deliver_order')?.from).toBe('told')
  })

  it('is refused where it could not be', () => {
    const model = lens(MONOLITH)
    const drop = { workflow: 'order-processing', component: 'notification-sender' }
    expect(() => dropComponent(model, { ...drop, state: 'paying' })).toThrow(
      'waits for the step `step-payment` already',
    )
    expect(() => dropComponent(model, { ...drop, state: 'failed' })).toThrow('is final')
    expect(() => dropComponent(model, { ...drop, state: 'none' })).toThrow('no state `none`')
    expect(() => dropComponent(model, { ...drop, state: 'validated', component: 'spa' })).toThrow(
      '`spa` is not a component',
    )
    expect(() => dropComponent(model, { ...drop, state: 'validated', success: { to: 'paying' } })).toThrow(
      '`start_payment` leaves `validated` at once',
    )
    expect(() =>
      dropComponent(model, { ...drop, state: 'ship_failed', success: { transition: 'retry_shipping', to: 'paid' } }),
    ).toThrow('`retry_shipping` leads from')
    expect(() => dropComponent(model, { ...drop, state: 'payment_failed', success: { to: 'seen' } })).toThrow(
      '`abandon_payment` leaves `payment_failed` at once when `retry_payment` is used up',
    )
    expect(() => dropComponent(model, { ...drop, state: 'new', success: { to: 'validating' } })).toThrow(
      'No transition leads to `new`',
    )
  })
})
