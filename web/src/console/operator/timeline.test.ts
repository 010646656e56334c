import { expect, it } from 'vitest'
import type { Run, Timer } from './api'
import { extent, flags, place, strips } from './timeline'

const at = (ms: number) => new Date(ms).toISOString()
const stay = (from: number, to: number | null) => ({ enteredAt: at(from), leftAt: to === null ? null : at(to) })

it('stays are placed by their times', () => {
  const stages = [stay(1_000, 2_000), stay(2_000, 5_000)]
  const whole = extent(stages, 99_000)
  expect(whole).toEqual({ from: 1_000, to: 5_000 })
  expect(stages.map((each) => place(each, whole))).toEqual([
    { left: 0, width: 25 },
    { left: 25, width: 75 },
  ])
})

it('a state that lasts does not push the others together', () => {
  const stages = [stay(0, 4_000), stay(4_000, null)]
  const whole = extent(stages, 9_000_000)
  expect(whole.to).toBe(5_000)
  expect(place(stay(4_000, null), whole)).toEqual({ left: 80, width: 20 })
})

it('a stay that has just begun is there, and no stays are none', () => {
  const whole = extent([stay(1_000, null)], 1_000)
  expect(place(stay(1_000, null), whole)).toEqual({ left: 0, width: 100 })
  expect(extent([], 7)).toEqual({ from: 7, to: 7 })
})

const tried = { step: 'pay', attempts: 3, outcome: 'accepted', leftAt: at(9) }
const run = (attempt: number, status: string) => ({ name: 'pay', attempt, status }) as Run

it('the attempts of a stay are stacked, and only the last of them ended it', () => {
  expect(strips(tried, [])).toEqual(['failed', 'failed', 'accepted'])
  expect(strips({ ...tried, attempts: 1 }, [])).toEqual(['accepted'])
  expect(strips({ ...tried, attempts: 400 }, [])).toHaveLength(6)
  expect(strips({ ...tried, step: null }, [])).toEqual([])
})

it('of a stay that lasts the run that goes on tells the attempt', () => {
  const lasting = { ...tried, leftAt: null, outcome: null, attempts: null }
  expect(strips(lasting, [run(1, 'done'), run(2, 'ready')])).toEqual(['failed', 'under way'])
  expect(strips(lasting, [])).toEqual(['under way'])
})

it('timers are flags: those that have ended a stay, and those that will end the last', () => {
  const timer = { transition: 'retry', dueAt: at(99) } as Timer
  expect(flags({ leftAt: at(9), outcome: 'timer' }, 'retry', [timer])).toEqual([{ name: 'retry', dueAt: null }])
  expect(flags({ leftAt: at(9), outcome: 'api' }, 'retry', [timer])).toEqual([])
  expect(flags({ leftAt: null, outcome: null }, undefined, [timer])).toEqual([{ name: 'retry', dueAt: at(99) }])
})
