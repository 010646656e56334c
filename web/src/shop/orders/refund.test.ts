import { describe, expect, it } from 'vitest'
import type { Refund } from '../api/resources'
import { refunded, refundsOf } from './refund'

function refund(amount: number, state: string): Refund {
  return { id: `rf-${amount}`, state, isFinal: state === 'closed' || state === 'refused', amount, reason: 'a scratch' }
}

describe('refunds of an order', () => {
  it('adds up what is back to the cent', () => {
    expect(refunded([refund(0.1, 'closed'), refund(0.2, 'restocking'), refund(149.69, 'refunded')])).toBe(149.99)
  })

  it('counts nothing that is only on its way, and says nothing of what was refused', () => {
    const refunds = [refund(5, 'refunding'), refund(7, 'refund_failed'), refund(9, 'refused'), refund(20, 'closed')]
    expect(refunded(refunds)).toBe(20)
    expect(refundsOf(refunds).map(({ amount }) => amount)).toEqual([5, 7, 20])
  })
})
