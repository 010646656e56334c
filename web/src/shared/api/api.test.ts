import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as session from '../session'
import { answer, onFetch } from '../testing/fetch'
import { login, profile } from './account'
import { ApiError, explain, isPassing, refused, speakOf } from './errors'

const signal = new AbortController().signal
const USER = { id: 'u1', name: 'Ada', email: 'ada@example.com', createdAt: '2026-11-23T16:28:23Z' }

beforeEach(() => session.end())

describe('a call', () => {
  it('speaks for who is logged in, and for nobody at the login', async () => {
    session.begin({ token: 'secret', user: USER })
    const fetched = onFetch(answer(200, USER), answer(200, { token: 't', user: USER }))
    await profile(signal)
    await login({ email: 'a', password: 'b' })
    const sent = fetched.mock.calls.map(([request]) => new Request(request).headers.get('authorization'))
    expect(sent).toEqual(['Bearer secret', null])
  })

  it('that is refused for its token ends the session', async () => {
    session.begin({ token: 'old', user: USER })
    onFetch(answer(401, { detail: 'expired' }))
    await expect(profile(signal)).rejects.toMatchObject({ failure: 'unauthorized' })
    expect(session.token.get()).toBeNull()
  })

  it('with wrong credentials ends none', async () => {
    session.begin({ token: 'good', user: USER })
    onFetch(answer(401, { detail: 'invalid credentials' }))
    await expect(login({ email: 'a', password: 'b' })).rejects.toMatchObject({ failure: 'unauthorized' })
    expect(session.token.get()).toBe('good')
  })

  it('without an answer is unreachable', async () => {
    onFetch(new TypeError('Failed to fetch'))
    await expect(profile(signal)).rejects.toMatchObject({ failure: 'unreachable' })
  })

  it('whose answer breaks off, or is none of the API, is unreachable too', async () => {
    onFetch(new Response('<html>Log in to the network'))
    await expect(profile(signal)).rejects.toMatchObject({ failure: 'unreachable' })
  })

  it('that is cancelled says just that', async () => {
    const cancelled = new AbortController()
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (request) => {
      cancelled.abort()
      new Request(request).signal.throwIfAborted()
      throw new TypeError('Failed to fetch')
    })
    await expect(profile(cancelled.signal)).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('a refusal', () => {
  it('names the fields that are wrong', () => {
    const error = refused(answer(422, null), {
      detail: '/shipping/zip: too long',
      errors: [{ pointer: '/shipping/zip', detail: 'too long' }],
    })
    expect(error.fields).toEqual({ 'shipping.zip': 'Too long' })
    expect(explain(error)).toBe('Too long')
  })

  it('says when to come back', () => {
    expect(explain(refused(answer(429, null, { 'retry-after': '7' }), null))).toContain('in 7 seconds')
    expect(explain(refused(answer(503, null), null))).toContain('in a moment')
  })

  it('says what to do about a limit of the customer', () => {
    const full = (limit: number) => explain(refused(answer(429, null), { code: 'limit_per_owner', limit }))
    expect(full(5)).toBe('You have 5 orders that are not paid yet. Pay or cancel one under Orders, then try again.')
    expect(full(1)).toContain('You have an order that is not paid yet.')
  })

  it('never shows what broke inside', () => {
    expect(explain(refused(answer(500, null), { detail: 'internal error' }))).not.toContain('internal')
    expect(explain(new Error('x is undefined'))).not.toContain('undefined')
  })

  it('is passing or final', () => {
    const failures = [400, 401, 404, 409, 422, 429, 500, 502, 503].filter((status) =>
      isPassing(refused(answer(status, null), null)),
    )
    expect(failures).toEqual([429, 500, 502, 503])
    expect(isPassing(new ApiError('unreachable', ''))).toBe(true)
  })
})

it('messages name what the pages of an application ask', () => {
  const busy = refused(new Response(null, { status: 503 }), {})
  expect(explain(busy)).toBe('The store is busy. Try again in a moment.')
  speakOf('process')
  expect(explain(busy)).toBe('The process is busy. Try again in a moment.')
  speakOf('store')
})
