import { beforeEach, describe, expect, it } from 'vitest'
import { boughtSince, dropKey, keyFor, openPurchase, refused, sent, settled } from './purchase'

beforeEach(() => localStorage.clear())

describe('the key of a purchase', () => {
  it('is the same for the same cart of the same customer, and another for any other', () => {
    const first = keyFor('ada', 'a mouse', 1)
    expect(first).toMatch(/^[0-9a-f]{32}$/)
    expect(keyFor('ada', 'a mouse', 2)).toBe(first)
    expect(keyFor('ada', 'two mice', 3)).not.toBe(first)
    const second = keyFor('ada', 'a mouse', 4)
    expect(second).not.toBe(first)
    expect(keyFor('grace', 'a mouse', 5)).not.toBe(second)
  })

  it('serves whoever clicked before it was bought, and nobody afterwards', () => {
    const key = keyFor('ada', 'a mouse', 1)
    settled('order-1', 10)
    expect(keyFor('ada', 'a mouse', 9)).toBe(key)
    expect(boughtSince('ada', 'a mouse', 9)).toBe('order-1')
    expect(boughtSince('grace', 'a mouse', 9)).toBeUndefined()
    expect(boughtSince('ada', 'a mouse', 11)).toBeUndefined()
    expect(keyFor('ada', 'a mouse', 11)).not.toBe(key)
  })

  it('is open while nobody knows what became of it', () => {
    const key = keyFor('ada', 'a mouse', 1)
    expect(openPurchase('ada', 'two mice')).toBeUndefined()
    sent()
    expect(openPurchase('ada', 'two mice')?.key).toBe(key)
    expect(openPurchase('ada', 'a mouse')).toBeUndefined()
    expect(openPurchase('grace', 'two mice')).toBeUndefined()
    refused()
    expect(openPurchase('ada', 'two mice')).toBeUndefined()
    expect(keyFor('ada', 'a mouse', 2)).toBe(key)
  })

  it('is a new one when the old one is dropped', () => {
    const key = keyFor('ada', 'a mouse', 1)
    dropKey()
    expect(keyFor('ada', 'a mouse', 2)).not.toBe(key)
  })

  it.each(['nonsense', 'null', '[]', '{"user":"ada","cart":"a mouse","key":7,"isOpen":false}'])(
    'bears %s in the storage',
    (text) => {
      localStorage.setItem('purchase', text)
      expect(keyFor('ada', 'a mouse', 1)).toMatch(/^[0-9a-f]{32}$/)
    },
  )
})
