import { expect, it } from 'vitest'
import { extent, place } from './timeline'

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
