/** What a refund's state means for who gets the money. */
import type { Refund } from '../api/resources'

const BACK = ['refunded', 'restocking', 'restock_failed', 'closed']

/** The payment provider has taken it on. */
export function isGivenBack({ state }: Refund): boolean {
  return BACK.includes(state)
}

/** Those that the customer is told of: what was refused never comes. */
export function refundsOf(refunds: readonly Refund[]): Refund[] {
  return refunds.filter(({ state }) => state !== 'refused')
}

/** In dollars, counted in cents. */
export function refunded(refunds: readonly Refund[]): number {
  const cents = refunds.filter(isGivenBack).reduce((sum, { amount }) => sum + Math.round(amount * 100), 0)
  return cents / 100
}
