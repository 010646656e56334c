import { expect, it } from 'vitest'
import { entryOf } from './menu'

it.each([
  ['/', 'Editor'],
  ['/machine/order-processing', 'Editor'],
  ['/instances', 'Instances'],
  ['/instances/orders/order-1', 'Instances'],
  ['/history/0123abcd', 'History'],
])('%s lies below %s', (path, name) => {
  expect(entryOf(path)?.name).toBe(name)
})

it('the page of the sign-in lies below none', () => {
  expect(entryOf('/sign-in')).toBeUndefined()
})
