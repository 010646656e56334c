import { describe, expect, it } from 'vitest'
import { date, dateTime, duration, exactMoment, exactTime, initials, money, orderNumber } from './format'

describe('what the store writes', () => {
  it('as money', () => {
    expect(money(149.99)).toBe('$149.99')
    expect(money(899810.01)).toBe('$899,810.01')
  })

  it('as times, and as it came where it is none', () => {
    expect(date('2026-11-26')).toBe('Thu, Nov 26')
    expect(date('soon')).toBe('soon')
    expect(exactTime('2026-11-26T10:00:00.128Z')).toMatch(/^\d\d:00:00\.12$/)
  })

  it('as moments, with the day and the year where these are not those of now', () => {
    const now = new Date(2026, 10, 28, 12)
    const at = (...parts: [number, number, number, number]) => new Date(...parts).toISOString()
    expect(exactMoment(at(2026, 10, 28, 9), now)).toBe('09:00:00.00')
    expect(exactMoment(at(2026, 10, 27, 9), now)).toBe('Nov 27, 09:00:00.00')
    expect(exactMoment(at(2026, 9, 28, 9), now)).toBe('Oct 28, 09:00:00.00')
    expect(dateTime(at(2026, 0, 2, 9), now)).toMatch(/^Jan 2, 9:00\sAM$/)
    expect(dateTime(at(2025, 11, 31, 9), now)).toMatch(/^Dec 31, 2025, 9:00\sAM$/)
  })

  it('as durations', () => {
    expect([0.4, 999, 1500, 59_000, 300_000].map(duration)).toEqual(['0 ms', '999 ms', '1.5 s', '59.0 s', '5 min'])
  })

  it('as numbers of orders and initials of names', () => {
    expect(orderNumber('order-0193-7b665ea8')).toBe('7B665EA8')
    expect(['Ada Lovelace', 'ada king lovelace', 'Ada', '  ', '💧 drop'].map(initials)).toEqual([
      'AL',
      'AL',
      'A',
      '',
      '💧D',
    ])
  })
})
