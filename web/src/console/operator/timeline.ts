/** Stays on a line of time: from where to where, in parts of a hundred. */
import type { Stage } from './api'

/** Milliseconds of the epoch. */
export interface Extent {
  from: number
  to: number
}

type Stay = Pick<Stage, 'enteredAt' | 'leftAt'>

/** From the first stay to the end of the last, or to now. */
export function extent(stages: readonly Stay[], now: number): Extent {
  const begins = stages.map(({ enteredAt }) => Date.parse(enteredAt))
  const from = Math.min(...begins, now)
  const last = stages.at(-1)
  // Nothing happens in the last state for as long as it lasts: it would push the others together.
  const end = last?.leftAt ? Date.parse(last.leftAt) : Math.max(from, ...begins)
  const spent = end - from
  return { from, to: last && !last.leftAt ? Math.min(now, end + Math.max(spent / 4, 100)) : end }
}

/** Where a stay begins and how long it is. */
export function place({ enteredAt, leftAt }: Stay, { from, to }: Extent): { left: number; width: number } {
  const part = (at: number) => (to > from ? Math.min(100, Math.max(0, ((at - from) / (to - from)) * 100)) : 0)
  const left = part(Date.parse(enteredAt))
  const right = leftAt ? part(Date.parse(leftAt)) : 100
  return { left, width: Math.max(0, right - left) }
}
