import { describe, expect, it } from 'vitest'
import { due } from './renew'

const MINUTE = 60_000
const SINCE = 1_000 * MINUTE
const TOKEN = { since: SINCE, until: SINCE + 15 * MINUTE }

function dueAfter(minutes: number, lastSign: number | undefined) {
  return due(TOKEN, lastSign === undefined ? 0 : SINCE + lastSign * MINUTE, SINCE + minutes * MINUTE)
}

describe('a token', () => {
  it('is renewed in its second half while somebody works', () => {
    expect(dueAfter(5, 4)).toBe('nothing')
    expect(dueAfter(8, 4)).toBe('renew')
    expect(dueAfter(14, 13)).toBe('renew')
  })

  it('is left to end when nobody does, after a word of warning', () => {
    expect(dueAfter(8, undefined)).toBe('nothing')
    expect(dueAfter(12.9, undefined)).toBe('nothing')
    expect(dueAfter(13.5, undefined)).toBe('warn')
    expect(dueAfter(15, undefined)).toBe('over')
  })

  it('that has ended is over, whoever works', () => {
    expect(dueAfter(16, 15.9)).toBe('over')
  })

  it('of a day is not renewed before its last minutes', () => {
    const day = { since: SINCE, until: SINCE + 24 * 60 * MINUTE }
    expect(due(day, SINCE + 12 * 60 * MINUTE, SINCE + 12 * 60 * MINUTE)).toBe('nothing')
    expect(due(day, day.until - 5 * MINUTE, day.until - 4 * MINUTE)).toBe('renew')
  })

  it('that does not say when it ends is used as long as it is taken', () => {
    expect(due({ since: undefined, until: undefined }, 0, SINCE)).toBe('nothing')
  })
})
