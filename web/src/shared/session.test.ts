import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as session from './session'

const ADA = { id: 'u1', name: 'Ada', email: 'ada@example.com', createdAt: '2026-11-23T16:28:23Z' }

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
  session.end()
})

describe('a session', () => {
  it.each(['nonsense', '[]', '7', '{"id":"1","name":{},"email":"a@b","createdAt":""}', '{"name":"Ada","email":"a@b"}'])(
    'bears %s in the place of the user',
    (text) => {
      localStorage.setItem('user', text)
      window.dispatchEvent(new StorageEvent('storage', { key: 'user' }))
      expect(session.user.get()).toBeNull()
    },
  )

  it.each(['two\nlines', 'ünïcode', ' ', 'a b'])('bears %j in the place of the token', (text) => {
    localStorage.setItem('token', text)
    window.dispatchEvent(new StorageEvent('storage', { key: 'token' }))
    expect(session.token.get()).toBeNull()
  })

  it('that expires says so until the next begins', () => {
    session.begin({ token: 't', user: ADA })
    expect(session.hasExpired()).toBe(false)
    session.expire()
    expect(session.token.get()).toBeNull()
    expect(session.hasExpired()).toBe(true)
    session.begin({ token: 't', user: ADA })
    expect(session.hasExpired()).toBe(false)
  })

  it('whose token was removed by hand is over with the next page', () => {
    session.begin({ token: 't', user: ADA })
    localStorage.removeItem('token')
    window.dispatchEvent(new HashChangeEvent('hashchange'))
    expect(session.token.get()).toBeNull()
  })

  it('lasts as long as the page where nothing can be kept', () => {
    const full = vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError')
    })
    session.begin({ token: 't', user: ADA })
    window.dispatchEvent(new HashChangeEvent('hashchange'))
    expect(session.token.get()).toBe('t')
    full.mockRestore()
  })

  it('that its owner ends has not expired', () => {
    session.begin({ token: 't', user: ADA })
    session.end()
    expect(session.hasExpired()).toBe(false)
  })

  it('remembers the page that was wanted, and leads nowhere else', () => {
    expect(session.wanted()).toBe('/')
    session.remember('/checkout')
    expect(session.wanted()).toBe('/checkout')
    sessionStorage.setItem('wanted', 'https://elsewhere.example')
    expect(session.wanted()).toBe('/')
  })
})
