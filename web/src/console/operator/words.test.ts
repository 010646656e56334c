import { describe, expect, it } from 'vitest'
import { ago, bytes, span, took } from './words'

describe('what pages say', () => {
  it.each([
    [0.2, '0 s'],
    [59, '59 s'],
    [61, '1 min'],
    [7_300, '2 h'],
    [200_000, '2 d'],
    [-5, '0 s'],
  ])('%d seconds are %s', (seconds, words) => expect(span(seconds)).toBe(words))

  it('tells how long ago', () =>
    expect(ago('2026-11-26T10:00:00Z', Date.parse('2026-11-26T10:05:00Z'))).toBe('5 min ago'))

  it.each([
    [null, '–'],
    [0.0004, '1 ms'],
    [0.25, '250 ms'],
    [2.34, '2.3 s'],
    [120, '2 min'],
  ])('%s seconds took %s', (seconds, words) => expect(took(seconds)).toBe(words))

  it.each([
    [10, '10 bytes'],
    [2048, '2.0 KiB'],
    [3_500_000, '3.3 MiB'],
  ])('%d bytes are %s', (count, words) => expect(bytes(count)).toBe(words))
})
