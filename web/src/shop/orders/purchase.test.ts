import { clear, createStore, set } from 'idb-keyval'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { boughtSince, dropKey, keyFor, openPurchase, refused, sent, settled } from './purchase'

const DATABASE = createStore('millrace', 'shop')

beforeEach(() => clear(DATABASE))
afterEach(() => vi.unstubAllGlobals())

describe('the key of a purchase', () => {
  it('is the same for the same cart of the same customer, and another for any other', async () => {
    const first = await keyFor('ada', 'a mouse', 1)
    expect(first).toMatch(/^[0-9a-f]{32}$/)
    expect(await keyFor('ada', 'a mouse', 2)).toBe(first)
    expect(await keyFor('ada', 'two mice', 3)).not.toBe(first)
    const second = await keyFor('ada', 'a mouse', 4)
    expect(second).not.toBe(first)
    expect(await keyFor('grace', 'a mouse', 5)).not.toBe(second)
  })

  it('is one, however many ask for it in the same moment', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => keyFor('ada', 'a mouse', 1)))
    expect(new Set(keys).size).toBe(1)
  })

  it('serves whoever saw the cart before it was bought, and nobody afterwards', async () => {
    const key = await keyFor('ada', 'a mouse', 1)
    await settled('order-1', 10)
    expect(await keyFor('ada', 'a mouse', 9)).toBe(key)
    expect(await boughtSince('ada', 'a mouse', 9)).toBe('order-1')
    expect(await boughtSince('grace', 'a mouse', 9)).toBeUndefined()
    expect(await boughtSince('ada', 'a mouse', 11)).toBeUndefined()
    expect(await keyFor('ada', 'a mouse', 11)).not.toBe(key)
  })

  it('is open while nobody knows what became of it', async () => {
    const key = await keyFor('ada', 'a mouse', 1)
    expect(await openPurchase('ada', 'two mice')).toBeUndefined()
    await sent()
    expect((await openPurchase('ada', 'two mice'))?.key).toBe(key)
    expect(await openPurchase('ada', 'a mouse')).toBeUndefined()
    expect(await openPurchase('grace', 'two mice')).toBeUndefined()
    await refused()
    expect(await openPurchase('ada', 'two mice')).toBeUndefined()
    expect(await keyFor('ada', 'a mouse', 2)).toBe(key)
  })

  it('is a new one when the old one is dropped', async () => {
    const key = await keyFor('ada', 'a mouse', 1)
    await dropKey()
    expect(await keyFor('ada', 'a mouse', 2)).not.toBe(key)
  })

  it.each(['nonsense', null, [], { user: 'ada', cart: 'a mouse', key: 7, isOpen: false }])(
    'bears %j in its place',
    async (value) => {
      await set('purchase', value, DATABASE)
      expect(await keyFor('ada', 'a mouse', 1)).toMatch(/^[0-9a-f]{32}$/)
    },
  )

  it('lasts as long as the page where nothing can be kept', async () => {
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError')
    })
    const key = await keyFor('ada', 'a mouse', 1)
    await sent()
    expect(await keyFor('ada', 'a mouse', 2)).toBe(key)
    expect((await openPurchase('ada', 'two mice'))?.key).toBe(key)
  })
})
