import { describe, expect, it } from 'vitest'
import { sums, wrongAmount } from './refunds'

describe('the refunds of an order', () => {
  it('leave what was neither given back nor is on its way', () => {
    const refunds = [
      { state: 'closed', amount: 2_000 },
      { state: 'restocking', amount: 1_000 },
      { state: 'refunding', amount: 500 },
      { state: 'refund_failed', amount: 250 },
      { state: 'refused', amount: 9_000 },
    ]
    expect(sums(14_999, refunds)).toEqual({ refunded: 3_000, open: 750, left: 11_249 })
  })

  it('never leave less than nothing', () => {
    expect(sums(100, [{ state: 'closed', amount: 200 }]).left).toBe(0)
  })
})

describe('a sum to refund', () => {
  it.each(['', ' ', 'all', '-5', '0', '0.001', 'Infinity'])('is not %j', (typed) => {
    expect(wrongAmount(typed, 10_000)).toMatch(/sum in dollars|No more/)
  })

  it.each(['3.333', '0.999', '20.005'])('is not rounded: %s', (typed) => {
    expect(wrongAmount(typed, 10_000)).toMatch(/two digits after the point/)
  })

  it('is no more than is left, to the cent', () => {
    expect(wrongAmount('149.99', 14_999)).toBeUndefined()
    expect(wrongAmount('150', 14_999)).toBe('No more than $149.99 is left to refund.')
  })
})
