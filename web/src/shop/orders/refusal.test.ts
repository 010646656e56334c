import { describe, expect, it } from 'vitest'
import type { Transition } from '../api/resources'
import { history, order } from '../testing/resources'
import { isUnanswered, reason } from './refusal'
import { stages } from './stages'

const TO_PAYING = ['new', 'validating', 'validated', 'paying']
const SAID = { reason: 'The card has expired.' }

function ended(state: string, cause: string, ...visited: string[]) {
  const entries = history(...visited)
  return order(state, [...entries.slice(0, -1), ...entries.slice(-1).map((last) => ({ ...last, cause }))], SAID)
}

describe('a step that did not go through', () => {
  it('says why itself when it said no', () => {
    const declined = ended('payment_failed', 'rejected', ...TO_PAYING, 'payment_failed')
    expect(isUnanswered(declined)).toBe(false)
    expect(reason(declined)).toBe('The card has expired.')
    expect(stages(declined)[3]?.note).toBe('Your bank said no.')
  })

  it('is told from one that got no answer', () => {
    const silent = ended('payment_failed', 'failed', ...TO_PAYING, 'payment_failed')
    expect(isUnanswered(silent)).toBe(true)
    expect(reason(silent)).toBe('Your bank did not answer in time.')
    expect(stages(silent)[3]?.note).toBe('No answer from your bank.')
    const uncounted = ended('failed', 'failed', 'new', 'validating', 'failed')
    expect(reason(uncounted)).toBe('We could not look at our shelves.')
    expect(stages(uncounted)[1]?.note).toBe('We could not look.')
  })

  it('is not why an order was cancelled', () => {
    const declined = ended('payment_failed', 'rejected', ...TO_PAYING, 'payment_failed').history
    const cancelled = (cause: string, ...before: Transition[]) => {
      const last = history('payment_failed', 'cancelled').map((entry) => ({ ...entry, cause, seq: 99 }))
      return reason(order('cancelled', [...before, ...declined, ...last], SAID))
    }
    expect(cancelled('api')).toBe('You cancelled it.')
    const unshipped = history('ship_failed', 'cancelled').map((entry) => ({ ...entry, cause: 'api', seq: 99 }))
    expect(reason(order('cancelled', unshipped, SAID))).toBe('It could not be shipped.')
    expect(cancelled('exhausted')).toBe('The payment did not go through.')
    expect(cancelled('exhausted', ...declined)).toBe('The payment did not go through in 2 tries.')
    expect(reason(order('cancelled', [], SAID))).toBeUndefined()
  })

  it('is none where all went well, and a reason without a history stands', () => {
    expect(reason(order('delivered'))).toBeUndefined()
    expect(reason(order('failed', [], SAID))).toBe('The card has expired.')
  })
})
