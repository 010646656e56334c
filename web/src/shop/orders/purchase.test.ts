import { expect, it } from 'vitest'
import { keyFor, settled } from './purchase'

it('the same purchase has the same key until it is settled, another has another', () => {
  const first = keyFor({ items: [1] })
  expect(first).toMatch(/^[0-9a-f]{32}$/)
  expect(keyFor({ items: [1] })).toBe(first)
  const second = keyFor({ items: [2] })
  expect(second).not.toBe(first)
  settled()
  expect(keyFor({ items: [2] })).not.toBe(second)
})
