import { describe, expect, it } from 'vitest'
import { ENDED, history, order } from '../testing/resources'
import { stages } from './stages'

const TO_PAYING = ['new', 'validating', 'validated', 'paying']

function statuses(state: string, ...visited: string[]) {
  return stages(order(state, history(...visited))).map(({ status }) => status)
}

function statusesAtTheEnd(state: string, ...visited: string[]) {
  return stages(order(state, history(...visited), {}, ENDED)).map(({ status }) => status)
}

describe('the stages of an order', () => {
  it('are the eight of the store', () => {
    expect(stages(order('new')).map(({ label }) => label)).toEqual([
      'Created',
      'Checking Inventory',
      'Inventory OK',
      'Processing Payment',
      'Payment OK',
      'Shipping',
      'Shipped',
      'Delivered',
    ])
  })

  it('are done up to the work that is under way', () => {
    const expected = ['done', 'done', 'done', 'active', 'waiting', 'waiting', 'waiting', 'waiting']
    expect(statuses('paying', ...TO_PAYING)).toEqual(expected)
  })

  it('are all done when it is delivered', () => {
    const all = statusesAtTheEnd('delivered', ...TO_PAYING, 'paid', 'shipping', 'shipped', 'delivered')
    expect(new Set(all)).toEqual(new Set(['done']))
  })

  it('show where the inventory said no, and that nothing follows', () => {
    const expected = ['done', 'failed', 'stopped', 'stopped', 'stopped', 'stopped', 'stopped', 'stopped']
    expect(statusesAtTheEnd('failed', 'new', 'validating', 'failed')).toEqual(expected)
  })

  it('show where the payment was declined, and that more may follow', () => {
    const expected = ['done', 'done', 'done', 'failed', 'waiting', 'waiting', 'waiting', 'waiting']
    expect(statuses('payment_failed', ...TO_PAYING, 'payment_failed')).toEqual(expected)
  })

  it('show how far a cancelled order came', () => {
    expect(statusesAtTheEnd('cancelled', ...TO_PAYING, 'payment_failed', 'cancelled').slice(2, 5)).toEqual([
      'done',
      'failed',
      'stopped',
    ])
    expect(statusesAtTheEnd('cancelled', 'new', 'cancelled').slice(0, 2)).toEqual(['done', 'stopped'])
  })

  it('show it in a list too, which has no history', () => {
    const declined = order('cancelled', [], { reserved_until: '2026-11-23T16:58:23Z', reason: 'No money.' }, ENDED)
    expect(stages(declined)[3]?.status).toBe('failed')
    expect(stages(order('cancelled', [], {}, ENDED)).map(({ status }) => status)[1]).toBe('stopped')
  })

  it('forget a decline once the payment is tried again', () => {
    const again = [...TO_PAYING, 'payment_failed', 'paying']
    expect(statuses('paying', ...again)[3]).toBe('active')
    expect(statuses('paid', ...again, 'paid').slice(3, 5)).toEqual(['done', 'done'])
  })

  it('bear a state that they do not know', () => {
    expect(statuses('on_the_moon', 'new', 'validating', 'on_the_moon')[0]).toBe('done')
  })

  it('say when, how long, how often and by whom', () => {
    const entries = history(...TO_PAYING, 'paid')
    const answer = entries.at(-1)
    if (!answer) throw new Error('a history has an end')
    Object.assign(answer, { component: 'payment-processor', digest: 'd9a7e4d06a34', attempt: 3 })
    const payment = stages(order('paid', entries))[3]
    expect(payment).toMatchObject({
      at: '2026-11-23T16:28:12.000Z',
      took: 1000,
      attempts: 3,
      component: 'payment-processor',
      digest: 'd9a7e4d06a34',
    })
  })

  it('count the attempts of every visit', () => {
    const entries = history(...TO_PAYING, 'payment_failed', 'paying')
    for (const entry of entries)
      if (entry.to === 'payment_failed') Object.assign(entry, { component: 'payment-processor', attempt: 1 })
    expect(stages(order('paying', entries))[3]?.attempts).toBe(2)
  })
})
