import { expect, it } from 'vitest'
import { merged } from './merge'

it.each([
  [{ a: { x: 1, y: 2 }, b: 1 }, { a: { y: 3 } }, { a: { x: 1, y: 3 }, b: 1 }],
  [{ a: 1, b: 2 }, { a: null }, { b: 2 }],
  [{ a: [1, 2] }, { a: [3] }, { a: [3] }],
  [{ a: 1 }, { a: { b: null, c: 2 } }, { a: { c: 2 } }],
  [undefined, { a: 1 }, { a: 1 }],
])('%j with %j is %j', (old, patch, result) => {
  expect(merged(old, patch)).toEqual(result)
})
