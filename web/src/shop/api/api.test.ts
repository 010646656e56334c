import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as session from '../session'
import { history, order } from '../testing/resources'
import { address } from './call'
import * as api from './client'
import { ApiError, explain, isPassing, refused } from './errors'
import { type Change, withChange } from './resources'

function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  return new Response(JSON.stringify(body), { status, headers })
}

function onFetch(...answers: (Response | Error)[]) {
  const spy = vi.spyOn(globalThis, 'fetch')
  for (const each of answers) {
    if (each instanceof Error) spy.mockRejectedValueOnce(each)
    else spy.mockResolvedValueOnce(each)
  }
  return spy
}

const signal = new AbortController().signal
const USER = { id: 'u1', name: 'Ada', email: 'ada@example.com', createdAt: '2026-11-23T16:28:23Z' }

beforeEach(() => session.end())

describe('a call', () => {
  it('fills the path and the query', () => {
    expect(address('/api/orders/{id}', { id: 'a/b' }, undefined)).toBe('/api/orders/a%2Fb')
    expect(address('/api/orders', undefined, { limit: '2', cursor: 'x y' })).toBe('/api/orders?limit=2&cursor=x+y')
  })

  it('speaks for who is logged in, and for nobody at the login', async () => {
    session.begin({ token: 'secret', user: USER })
    const fetched = onFetch(answer(200, []), answer(200, { token: 't', user: USER }))
    await api.products(undefined, signal)
    await api.login({ email: 'a', password: 'b' })
    const sent = fetched.mock.calls.map(([, init]) => new Headers(init?.headers).get('authorization'))
    expect(sent).toEqual(['Bearer secret', null])
  })

  it('that is refused for its token ends the session', async () => {
    session.begin({ token: 'old', user: USER })
    onFetch(answer(401, { detail: 'expired' }))
    await expect(api.profile(signal)).rejects.toMatchObject({ failure: 'unauthorized' })
    expect(session.token.get()).toBeNull()
  })

  it('with wrong credentials ends none', async () => {
    session.begin({ token: 'good', user: USER })
    onFetch(answer(401, { detail: 'invalid credentials' }))
    await expect(api.login({ email: 'a', password: 'b' })).rejects.toMatchObject({ failure: 'unauthorized' })
    expect(session.token.get()).toBe('good')
  })

  it('without an answer is unreachable', async () => {
    onFetch(new TypeError('Failed to fetch'))
    await expect(api.products(undefined, signal)).rejects.toMatchObject({ failure: 'unreachable' })
  })

  it('brings the cursor of the next page', async () => {
    onFetch(answer(200, [], { link: '</api/orders?limit=20&cursor=abc>; rel="next"' }), answer(200, []))
    expect((await api.orders(undefined)).cursor).toBe('abc')
    expect((await api.orders('abc')).cursor).toBeUndefined()
  })

  it('to buy carries its key', async () => {
    const fetched = onFetch(answer(201, { id: 'order-1', state: 'new', lastUpdate: '', data: {} }))
    await api.placeOrder(
      { items: [], shipping: { address: '', city: '', state: '', zip: '' }, payment: { token: 't' } },
      'key-1',
    )
    expect(new Headers(fetched.mock.calls[0]?.[1]?.headers).get('idempotency-key')).toBe('key-1')
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

describe('an order after a change', () => {
  const change = (seq: number, version: number, state: string): Change => ({
    id: 'order-1',
    state,
    version,
    data: { total: 299.98, transaction_id: 'txn_1' },
    transition: { ...history('new', state)[0], seq } as Change['transition'],
  })

  it('has its state, results and one more transition', () => {
    const after = withChange(order('validating', history('new', 'validating')), change(2, 2, 'paid'))
    expect(after).toMatchObject({ state: 'paid', version: 2, results: { transactionId: 'txn_1' } })
    expect(after.history.map(({ seq }) => seq)).toEqual([1, 2])
  })

  it('does not go back when another call was faster than the stream', () => {
    const known = { ...order('paid', history('new', 'validating', 'validated', 'paid')), version: 5 }
    const after = withChange(known, change(2, 5, 'validated'))
    expect(after).toMatchObject({ state: 'paid', version: 5 })
    expect(after.history).toHaveLength(3)
  })

  it('does not go back when the stream repeats what is known', () => {
    const known = { ...order('paid', history('new', 'validating', 'validated')), version: 5 }
    const after = withChange(known, change(1, 2, 'validating'))
    expect(after.state).toBe('paid')
    expect(after.history).toHaveLength(2)
  })
})
