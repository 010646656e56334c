/** What of an order has gone back to its customer, and what still can. All sums in cents. Pure. */
import type { Refund } from './api/orders'

/** Ended without money going back. */
const VOID = ['refused', 'cancelled', 'failed']
/** Nothing follows that could still go wrong. */
const DONE = ['refunded', 'restocking', 'restock_failed', 'closed']

/** States of an order whose goods have left. */
export const SENT: readonly string[] = ['shipped', 'delivered']

/** Under which the refunds of an order are kept. */
export function refundsKeyOf(order: string): string {
  return `admin/refunds/${order}`
}

/** Whether it has not come to nothing. */
export function counts({ state }: Pick<Refund, 'state'>): boolean {
  return !VOID.includes(state)
}

export interface Sums {
  /** Gone back. */
  refunded: number
  /** On its way. */
  open: number
  /** May still be asked for. */
  left: number
}

export function sums(total: number, refunds: readonly Pick<Refund, 'state' | 'amount'>[]): Sums {
  const sum = (some: readonly Pick<Refund, 'amount'>[]) => some.reduce((before, { amount }) => before + amount, 0)
  const refunded = sum(refunds.filter(({ state }) => DONE.includes(state)))
  const open = sum(refunds.filter(({ state }) => !DONE.includes(state) && !VOID.includes(state)))
  return { refunded, open, left: Math.max(total - refunded - open, 0) }
}

export function isGoingOn({ state }: Pick<Refund, 'state'>): boolean {
  return !VOID.includes(state) && state !== 'closed'
}

/** The words of a sum that was typed in dollars, where it cannot be refunded. */
export function wrongAmount(typed: string, left: number): string | undefined {
  const cents = Math.round(Number(typed) * 100)
  if (typed.trim() === '' || !Number.isFinite(cents) || cents <= 0) return 'Write a sum in dollars, such as 20.00.'
  if (Math.abs(Number(typed) * 100 - cents) > 1e-6)
    return 'Cents are the smallest part: write two digits after the point, such as 20.05.'
  if (cents > left) return `No more than $${(left / 100).toFixed(2)} is left to refund.`
  return undefined
}
