import { beforeEach, describe, expect, it } from 'vitest'
import { answer, onFetch } from '../../testing/fetch'
import * as session from '../session'
import * as sudo from '../sudo'
import { call, page } from './call'

const ADA = { id: 'u1', name: 'Ada', email: 'ada@example.com' }
const SUDO = { status: 403, code: 'sudo-required', detail: 'show the password again' }

beforeEach(() => session.begin({ token: 'old', user: ADA }))

function sent(spy: ReturnType<typeof onFetch>, index: number) {
  const [url, init] = spy.mock.calls[index] ?? []
  return { url: String(url), headers: new Headers(init?.headers), body: init?.body }
}

describe('a call', () => {
  it('that needs the password is made again as it was when that is given', async () => {
    const spy = onFetch(answer(403, SUDO), answer(201, { id: 'rf-1' }))
    const made = call('/api/admin/refunds', {
      method: 'POST',
      body: { amount: 1 },
      headers: { 'Idempotency-Key': 'k' },
    })
    await expect.poll(sudo.isAsked).toBe(true)
    session.renewed('confirmed')
    sudo.answer(true)
    expect((await made).data).toEqual({ id: 'rf-1' })
    expect(sent(spy, 1).headers.get('authorization')).toBe('Bearer confirmed')
    for (const index of [0, 1]) {
      expect(sent(spy, index).headers.get('idempotency-key')).toBe('k')
      expect(sent(spy, index).body).toBe('{"amount":1}')
    }
  })

  it('is not made again when the password is not given', async () => {
    const spy = onFetch(answer(403, SUDO))
    const made = call('/api/admin/refunds', { method: 'POST', body: {} })
    await expect.poll(sudo.isAsked).toBe(true)
    sudo.answer(false)
    await expect(made).rejects.toThrow('nothing was changed')
    expect(spy).toHaveBeenCalledTimes(1)
  })

  it('waits for no password when the session ends', async () => {
    onFetch(answer(403, SUDO))
    const made = call('/api/admin/refunds', { method: 'POST', body: {} })
    await expect.poll(sudo.isAsked).toBe(true)
    session.end()
    await expect(made).rejects.toThrow()
  })

  it('whose token is refused ends the session, unless another token came meanwhile', async () => {
    onFetch(answer(401, { detail: 'the token has expired' }))
    await expect(call('/api/admin/orders')).rejects.toMatchObject({ failure: 'unauthorized' })
    expect(session.get()).toBeNull()
    expect(session.hasExpired()).toBe(true)
  })

  it('that was refused for what was typed leaves the session', async () => {
    onFetch(answer(401, { detail: 'wrong' }))
    await expect(call('/api/auth/sudo', { method: 'POST', body: {}, keepsSession: true })).rejects.toThrow()
    expect(session.get()).not.toBeNull()
  })

  it('sends filters that say something', async () => {
    const spy = onFetch(answer(200, []))
    await call('/api/admin/orders', { query: { state: 'paid', search: '', limit: 50, cursor: undefined } })
    expect(sent(spy, 0).url).toMatch(/\/api\/admin\/orders\?state=paid&limit=50$/)
  })
})

describe('a list', () => {
  it.each([
    ['with its cursor', answer(200, { items: [1], nextCursor: 'c' })],
    ['with a link', answer(200, [1], { link: '</api/x?cursor=c>; rel="next"' })],
  ])('is read %s', async (_, given) => {
    onFetch(given)
    expect(await page('/api/x', {}, null)).toEqual({ items: [1], cursor: 'c' })
  })

  it('ends', async () => {
    onFetch(answer(200, { items: [] }))
    expect(await page('/api/x', {}, null)).toEqual({ items: [], cursor: undefined })
  })
})
