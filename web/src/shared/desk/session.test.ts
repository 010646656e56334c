import { beforeEach, describe, expect, it, vi } from 'vitest'
import { keepAddress, lastAddress } from '../router'
import * as session from './session'
import { tokenOf } from './testing/token'

const ADA = { id: 'u1', name: 'Ada', email: 'ada@example.com' }

beforeEach(() => {
  sessionStorage.clear()
  localStorage.clear()
  session.end()
})

describe('a session of staff', () => {
  it('survives a reload of its tab, and is in no other one', async () => {
    session.begin({ token: 't', user: ADA })
    expect(JSON.stringify(localStorage)).toBe('{}')
    vi.resetModules()
    const reloaded = await import('./session')
    expect(reloaded.get()).toEqual({ token: 't', user: ADA })
    sessionStorage.clear()
    vi.resetModules()
    expect((await import('./session')).get()).toBeNull()
  })

  it.each(['nonsense', '[]', '7', '{"token":"t"}', '{"token":"a b","user":{"id":"1","name":"a","email":"b"}}'])(
    'bears %s in its place',
    async (text) => {
      sessionStorage.setItem('desk-session', text)
      vi.resetModules()
      expect((await import('./session')).get()).toBeNull()
    },
  )

  it('takes no token after it has ended', () => {
    session.renewed('late')
    expect(session.get()).toBeNull()
  })

  it('says that it has expired until the next begins', () => {
    session.begin({ token: 't', user: ADA })
    session.expire()
    expect(session.hasExpired()).toBe(true)
    session.begin({ token: 't', user: ADA })
    expect(session.hasExpired()).toBe(false)
  })
})

it.each([session.end, session.expire])(
  'addresses that links lead back to are the next person’s only if they are the same',
  (over) => {
    session.begin({ token: 't', user: ADA })
    keepAddress('/orders', new URLSearchParams({ customer: 'bob' }))
    over()
    session.begin({ token: 'u', user: ADA })
    expect(lastAddress('/orders')).toBe('/orders?customer=bob')
    over()
    session.begin({ token: 'v', user: { ...ADA, id: 'u2' } })
    expect(lastAddress('/orders')).toBe('/orders')
  },
)

describe('a token', () => {
  it('tells roles that are known, and when it ends', () => {
    const token = tokenOf({ roles: ['finance', 'emperor', 'admin'], exp: 1900, iat: 1000 })
    expect(session.claims(token)).toEqual({
      roles: ['finance', 'admin'],
      until: 1_900_000,
      since: 1_000_000,
      mustEnrol: false,
    })
  })

  it('without roles is a customer’s', () => {
    expect(session.claims(tokenOf({ exp: 1900 })).roles).toEqual([])
  })

  it('may be good for the enrolment alone', () => {
    expect(session.claims(tokenOf({ only: 'enrolment' })).mustEnrol).toBe(true)
  })

  it.each(['', 'a.b.c', 'a.!.c', `a.${btoa('null')}.c`, `a.${btoa('{"roles":"admin"}')}.c`])(
    'that reads %j gives no role',
    (token) => {
      expect(session.claims(token).roles).toEqual([])
    },
  )
})
