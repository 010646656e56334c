import { describe, expect, it } from 'vitest'
import { moveOf } from './stock'

describe('a move of the stock', () => {
  it('has the sign of what happened', () => {
    expect(moveOf('received', '20', 50, ' note ')).toEqual({ reason: 'received', note: 'note', delta: 20 })
    expect(moveOf('damaged', '3', 50, '')).toEqual({ reason: 'damaged', delta: -3 })
    expect(moveOf('correction', '-2', 50, '')).toMatchObject({ delta: -2 })
  })

  it('by counting says what was there and what was expected', () => {
    expect(moveOf('counted', '48', 50, '')).toEqual({ reason: 'counted', counted: 48, expected: 50 })
    expect(moveOf('counted', '0', 50, '')).toMatchObject({ counted: 0 })
  })

  it.each([
    ['received', ''],
    ['received', '0'],
    ['received', '-1'],
    ['received', '1.5'],
    ['damaged', '-3'],
    ['counted', '-1'],
    ['correction', '0'],
    ['received', '1e400'],
  ] as const)('%s of %j is none', (kind, typed) => {
    expect(moveOf(kind, typed, 50, '')).toBeUndefined()
  })
})
