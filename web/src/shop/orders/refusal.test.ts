import { describe, expect, it } from 'vitest'
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

  it('keeps its reason when the order is cancelled', () => {
    const entries = [...ended('payment_failed', 'failed', ...TO_PAYING, 'payment_failed').history]
    entries.push({ ...(history('payment_failed', 'cancelled')[0] as (typeof entries)[0]), seq: 9 })
    expect(reason(order('cancelled', entries, SAID))).toBe('Your bank did not answer in time.')
  })

  it('is none where all went well, and a reason without a history stands', () => {
    expect(reason(order('delivered'))).toBeUndefined()
    expect(reason(order('failed', [], SAID))).toBe('The card has expired.')
  })
})
