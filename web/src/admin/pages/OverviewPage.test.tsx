import { act, render } from '@testing-library/react'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import * as session from '../../shared/desk/session'
import { tokenOf } from '../../shared/desk/testing/token'
import { answer } from '../../shared/testing/fetch'
import OverviewPage from './OverviewPage'

/** Requests that one address may make in a minute, as the configs of the shop say. */
const LIMIT = 300
const SEATS = 10

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  session.end()
})

it('ten people behind one address who look at it leave a third of what that address may ask to others', async () => {
  const token = tokenOf({ roles: ['support', 'finance', 'catalogue'], exp: Date.now() / 1000 + 900 })
  const user = { id: 'u1', name: 'Fay', email: 'fay@example.com', createdAt: '2026-11-23T16:28:23Z' }
  session.begin({ token, user })
  const spy = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => answer(200, { items: [], nextCursor: null }))
  const { unmount } = render(<OverviewPage />)
  await act(() => vi.advanceTimersByTimeAsync(1_000))
  const first = spy.mock.calls.length
  await act(() => vi.advanceTimersByTimeAsync(120_000))
  const aMinute = (spy.mock.calls.length - first) / 2
  expect(aMinute).toBeGreaterThan(0)
  expect(aMinute * SEATS).toBeLessThanOrEqual((LIMIT * 2) / 3)
  unmount()
})
