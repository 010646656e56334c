/** Stays on a line of time: from where to where, in parts of a hundred. */
import type { Run, Stage, Timer } from './api'

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

/** Attempts on one bar are told apart up to so many; what is more is said in words. */
const MOST_STRIPS = 6

type Tried = Pick<Stage, 'step' | 'attempts' | 'outcome' | 'leftAt'>

/**
 * The attempts of a stay, stacked from the first to the last: how each ended, as far as that is known. Of a stay that lasts its run tells
 * which attempt it is.
 */
export function strips({ step, attempts, outcome, leftAt }: Tried, runs: readonly Run[]): readonly string[] {
  if (!step) return []
  const run = leftAt === null ? runs.findLast((each) => each.name === step && each.status !== 'done') : undefined
  const count = Math.min(MOST_STRIPS, run?.attempt ?? attempts ?? 1)
  const last = leftAt === null ? 'under way' : (outcome ?? 'left')
  return Array.from({ length: count }, (_, index) => (index < count - 1 ? 'failed' : last))
}

/** A flag on the line of time: a timer that has ended a stay, or one that will. */
export interface Flag {
  /** The transition that it fires. */
  name: string
  /** When; null where it has. */
  dueAt: string | null
}

type Timed = Pick<Stage, 'leftAt' | 'outcome'>

/** `by` is the transition that the stay was left by. */
export function flags({ leftAt, outcome }: Timed, by: string | undefined, timers: readonly Timer[]): readonly Flag[] {
  if (leftAt === null) return timers.map(({ transition, dueAt }) => ({ name: transition, dueAt }))
  return outcome === 'timer' || outcome === 'exhausted' ? [{ name: by ?? outcome, dueAt: null }] : []
}
