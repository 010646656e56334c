import { expect, it } from 'vitest'
import { isOnThisMachine } from './live'

it.each([
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['[::1]', true],
  ['localhost', true],
  ['shop.localhost', true],
  ['127.0.0.1.example.com', false],
  ['notlocalhost', false],
  ['192.168.0.7', false],
  ['shop.example.com', false],
])('a page of %s is of this machine: %s', (host, is) => {
  expect(isOnThisMachine(host)).toBe(is)
})
