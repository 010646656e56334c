/**
 * How the shop does, from its newest orders: no more of them are asked for than a page of figures needs, so a busy shop shows the time that
 * they reach back to. Pure.
 */
import type { Order } from './api/orders'

type Sale = Pick<Order, 'createdAt' | 'total' | 'state'>

export interface Figures {
  /** Orders in each minute, the oldest first. */
  minutes: readonly number[]
  /** Of the whole minutes that are known. */
  perMinute: number
  /** In dollars, of orders that were paid, since `since`. */
  revenue: number
  /** In milliseconds of the epoch: what is before that is not counted. */
  since: number
}

const MINUTE_MS = 60_000
/** Minutes of the plot. */
export const SHOWN = 60

/** Once the money is there. What was sold and then given up is not counted. */
const PAID = ['paid', 'shipping', 'shipped', 'ship_failed', 'delivered']

/**
 * `orders` are the newest ones, newest first; `isAll` says that there are none before them since `dayStart`. All times in milliseconds of
 * the epoch.
 */
export function figures(orders: readonly Sale[], isAll: boolean, dayStart: number, now: number): Figures {
  const oldest = orders.at(-1)
  const known = isAll || !oldest ? 0 : Date.parse(oldest.createdAt)
  const hourStart = Math.floor(now / MINUTE_MS) * MINUTE_MS - (SHOWN - 1) * MINUTE_MS
  const minutes = Array.from({ length: SHOWN }, () => 0)
  for (const { createdAt } of orders) {
    const minute = Math.floor((Date.parse(createdAt) - hourStart) / MINUTE_MS)
    if (minute >= 0 && minute < SHOWN) minutes[minute] = (minutes[minute] ?? 0) + 1
  }
  const since = Math.max(dayStart, known)
  const paid = orders.filter(({ state, createdAt }) => PAID.includes(state) && Date.parse(createdAt) >= since)
  const span = Math.min(SHOWN, Math.max(1, (now - Math.max(hourStart, known)) / MINUTE_MS))
  return {
    minutes,
    perMinute: minutes.reduce((sum, count) => sum + count, 0) / span,
    revenue: paid.reduce((sum, { total }) => sum + total, 0),
    since,
  }
}

/** The reader's midnight. */
export function startOfDay(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0)
}
