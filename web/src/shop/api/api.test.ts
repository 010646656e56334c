import { describe, expect, it } from 'vitest'
import { answer, onFetch } from '../../shared/testing/fetch'
import { data, history, order } from '../testing/resources'
import * as api from './client'
import { type Change, joined, withChange } from './resources'

/** One of the requests that were sent. */
function sent(fetched: ReturnType<typeof onFetch>, index: number): Request {
  return new Request(fetched.mock.calls[index]?.[0] ?? '')
}

const signal = new AbortController().signal

describe('a call of the store', () => {
  it('names what it is about, whatever that is called', async () => {
    const order = { id: 'a/b', state: 'new', lastUpdate: '', data: {} }
    const fetched = onFetch(answer(200, order), answer(200, []))
    await api.order('a/b', signal, 101)
    await api.orders('x y')
    expect([0, 1].map((index) => new URL(sent(fetched, index).url)).map((url) => url.pathname + url.search)).toEqual([
      '/api/orders/a%2Fb?historyBefore=101',
      '/api/orders?limit=20&cursor=x%20y',
    ])
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
    expect(sent(fetched, 0).headers.get('idempotency-key')).toBe('key-1')
  })
})

describe('an order after a change', () => {
  const change = (seq: number, version: number, state: string): Change => ({
    id: 'order-1',
    state,
    final: state === 'delivered',
    actions: state === 'payment_failed' ? ['cancel', 'retry'] : [],
    version,
    data: data(state, { transaction_id: 'txn_1' }),
    transition: { ...history('new', state)[0], seq } as Change['transition'],
  })

  it('has its state, results and one more transition', () => {
    const after = withChange(order('validating', history('new', 'validating')), change(2, 2, 'paid'))
    expect(after).toMatchObject({ state: 'paid', version: 2, results: { transactionId: 'txn_1' } })
    expect(after.history.map(({ seq }) => seq)).toEqual([1, 2])
  })

  it('can be asked for what the change says, and is over when it says so', () => {
    const declined = withChange(order('paying', history('new', 'paying')), change(2, 2, 'payment_failed'))
    expect(declined).toMatchObject({ isFinal: false, actions: ['cancel', 'retry'] })
    expect(withChange(declined, change(3, 3, 'paying'))).toMatchObject({ isFinal: false, actions: [] })
    expect(withChange(declined, change(3, 3, 'delivered'))).toMatchObject({ isFinal: true, actions: [] })
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

describe('parts of a history', () => {
  const all = history(...Array.from({ length: 11 }, (_, index) => `state ${index}`))
  /** Of the transitions with these numbers; before the first of them there is more, unless it is the first of all. */
  const part = (from: number, to: number) => ({
    history: all.slice(from - 1, to),
    historyNext: from > 1 ? from : undefined,
  })

  it('are one, whichever came first, and lead on to what is before them', () => {
    for (const parts of [
      [part(4, 7), part(6, 10)],
      [part(6, 10), part(4, 7)],
      [part(4, 5), part(6, 10)],
    ] as const) {
      expect(joined(...parts)).toEqual(part(4, 10))
    }
    expect(joined(part(4, 10), part(1, 3))).toEqual(part(1, 10))
  })

  it('that do not meet are not told as if they did', () => {
    expect(joined(part(1, 4), part(7, 10))).toEqual(part(7, 10))
  })

  it('may be empty', () => {
    const none = { history: [], historyNext: undefined }
    expect(joined(none, part(4, 7))).toEqual(part(4, 7))
    expect(joined(part(4, 7), none)).toEqual(part(4, 7))
  })
})
