/** A dialog that was left to sign in opens again once. */
import { afterEach, expect, it } from 'vitest'
import * as session from '../../shared/desk/session'
import { arrive, leave, toReopen } from './left.ts'

afterEach(() => session.end())

const ada = { token: 'a.token', user: { id: 'user-1', name: 'Ada', email: 'ada@example.com' } }

it('what was left to sign in opens once with the editor', () => {
  expect(toReopen()).toBeUndefined()
  leave('saving')
  session.begin(ada)
  expect(toReopen()).toBe('saving')
  // The editor may be drawn twice before the dialog is.
  expect(toReopen()).toBe('saving')
  arrive('creating')
  expect(toReopen()).toBe('saving')
  arrive('saving')
  expect(toReopen()).toBeUndefined()
})

it('a save does not ask for a sign-in again where somebody went on without, also not later', () => {
  leave('saving')
  expect(toReopen()).toBeUndefined()
  session.begin(ada)
  expect(toReopen()).toBeUndefined()
})

it('a component that was begun is there also for who went on without', () => {
  leave('creating')
  expect(toReopen()).toBe('creating')
  arrive('creating')
  expect(toReopen()).toBeUndefined()
})
