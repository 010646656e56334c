import { describe, expect, it } from 'vitest'
import { asked, cents, toOrder } from './orders'

const NOTHING = { search: '', state: '', from: '', to: '', minTotal: '', maxTotal: '', attention: '', product: '' }

describe('filters of orders', () => {
  it('are asked for in cents and in moments of whole days', () => {
    const { from, to, ...rest } = asked({
      ...NOTHING,
      from: '2026-11-26',
      to: '2026-11-27',
      minTotal: '20',
      maxTotal: '149.99',
    })
    expect(rest).toMatchObject({ minTotal: '2000', maxTotal: '14999' })
    expect(Date.parse(to ?? '') - Date.parse(from ?? '')).toBe(2 * 24 * 3_600_000 - 1)
  })

  it.each(['', ' ', 'many', '1e999'])('leave out %j as a sum', (typed) => {
    expect(cents(typed)).toBeUndefined()
  })

  it('leave out a day that is none', () => {
    expect(asked({ ...NOTHING, from: '2026-99-99' }).from).toBeUndefined()
  })
})

it('an order of another version of the store is shown as far as it is understood', () => {
  const times = { createdAt: '2026-11-27T10:00:00Z', lastUpdate: '2026-11-27T10:00:00Z' }
  const order = toOrder({
    id: 'o',
    state: 'odd',
    version: 1,
    ...times,
    data: { items: [null, 7, { name: 'Desk' }], total: '9' },
  })
  expect(order).toMatchObject({ total: 0, isFinal: false, actions: [], history: [] })
  expect(order.lines).toHaveLength(3)
})
