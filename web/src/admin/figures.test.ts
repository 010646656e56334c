import { describe, expect, it } from 'vitest'
import { figures, SHOWN } from './figures'

const NOW = Date.parse('2026-11-27T15:30:30Z')
const MIDNIGHT = Date.parse('2026-11-27T00:00:00Z')

function sale(minutesAgo: number, total = 10, state = 'delivered') {
  return { createdAt: new Date(NOW - minutesAgo * 60_000).toISOString(), total, state }
}

describe('the figures of a shop', () => {
  it('count the orders of each minute of the last hour', () => {
    const { minutes, perMinute } = figures([sale(0), sale(0.4), sale(1), sale(59), sale(61)], true, MIDNIGHT, NOW)
    expect(minutes).toHaveLength(SHOWN)
    expect(minutes.slice(-2)).toEqual([1, 2])
    expect(minutes[0]).toBe(1)
    expect(perMinute).toBeCloseTo(4 / 59.5, 3)
  })

  it('add up what was paid today, and nothing else', () => {
    const sales = [
      sale(1, 10),
      sale(2, 20, 'paying'),
      sale(3, 40, 'cancelled'),
      sale(5, 80, 'shipping'),
      sale(16 * 60, 160),
    ]
    expect(figures(sales, true, MIDNIGHT, NOW).revenue).toBe(90)
  })

  it('say how far back they reach where there are more orders than were asked for', () => {
    const { since, perMinute } = figures([sale(1), sale(2), sale(4)], false, MIDNIGHT, NOW)
    expect(since).toBe(NOW - 4 * 60_000)
    expect(perMinute).toBeCloseTo(3 / 4, 3)
  })

  it('of a shop without orders are nothing', () => {
    expect(figures([], true, MIDNIGHT, NOW)).toMatchObject({ perMinute: 0, revenue: 0, since: MIDNIGHT })
  })
})
