/** How the shop does, in the words of its page: from counters of the shop, so no order is read for it. Pure. */
import type { components } from '../shared/api/schema'

export type Counted = components['schemas']['Figures']

export interface Sales {
  /** Orders in each bucket, the oldest first. */
  values: readonly number[]
  /** The largest of them. */
  most: number
  /** Orders in a minute, on average over the whole time. */
  perMinute: number
}

const MINUTE_MS = 60_000

export function sales({ from, to, total, items }: Counted): Sales {
  const values = items.map(({ created }) => created)
  // The first minute has hardly begun where somebody looks at midnight.
  const minutes = Math.max(1, (Date.parse(to) - Date.parse(from)) / MINUTE_MS)
  return { values, most: Math.max(0, ...values), perMinute: total.created / minutes }
}

/** In dollars, of orders that were paid for and not given up after that. */
export function revenue({ total }: Counted): number {
  return (total.amount - total.leftAmount) / 100
}

/** The reader's midnight. */
export function startOfDay(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0)
}
