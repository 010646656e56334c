import { describe, expect, it } from 'vitest'
import { type Counted, revenue, sales } from './figures'

const NOTHING = { created: 0, reached: 0, amount: 0, left: 0, leftAmount: 0 }

function counted(created: number[], minutes: number, total = {}): Counted {
  const from = Date.parse('2026-11-27T15:00:00Z')
  const at = (minute: number) => new Date(from + minute * 60_000).toISOString()
  const sum = created.reduce((all, one) => all + one, 0)
  const items = created.map((one, minute) => ({ ...NOTHING, at: at(minute), created: one }))
  return {
    from: at(0),
    to: at(minutes),
    bucketSeconds: 60,
    items,
    total: { ...NOTHING, at: at(0), created: sum, ...total },
  }
}

describe('the figures of a shop', () => {
  it('are the orders of each bucket, the most in one, and how many a minute', () => {
    expect(sales(counted([0, 3, 1, 2], 3.5))).toEqual({ values: [0, 3, 1, 2], most: 3, perMinute: 6 / 3.5 })
  })

  it('begin with a whole minute, however short the time is', () => {
    expect(sales(counted([4], 0.1)).perMinute).toBe(4)
  })

  it('leave out what was paid for and then given up', () => {
    expect(revenue(counted([2], 1, { amount: 9_900, leftAmount: 2_450 }))).toBe(74.5)
  })

  it('of a shop without orders are nothing', () => {
    expect(sales(counted([], 60))).toEqual({ values: [], most: 0, perMinute: 0 })
    expect(revenue(counted([], 60))).toBe(0)
  })
})
