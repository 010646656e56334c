import { describe, expect, it } from 'vitest'
import {
  add,
  addLines,
  cart,
  content,
  count,
  MAX_QUANTITY,
  refreshed,
  remove,
  setQuantity,
  total,
  without,
} from './cart'
import { KEYBOARD, MOUSE } from './testing/resources'

describe('the cart', () => {
  it('adds to the line that is there', () => {
    const lines = add(add(add([], KEYBOARD), MOUSE), KEYBOARD, 2)
    expect(lines.map(({ productId, quantity }) => [productId, quantity])).toEqual([
      ['prod-001', 3],
      ['prod-002', 1],
    ])
    expect(count(lines)).toBe(4)
  })

  it('sums exactly', () => {
    const tenth = { ...KEYBOARD, price: 0.1 }
    expect(total(add([], tenth, 3))).toBe(0.3)
    expect(total(add(add([], KEYBOARD), MOUSE, 2))).toBe(249.97)
  })

  it('keeps quantities between one and the most', () => {
    const lines = add([], KEYBOARD)
    for (const [wanted, kept] of [
      [0, 1],
      [-3, 1],
      [2.7, 2],
      [1e9, MAX_QUANTITY],
      [Number.NaN, 1],
    ] as const) {
      expect(setQuantity(lines, 'prod-001', wanted)[0]?.quantity).toBe(kept)
    }
  })

  it('takes what an order had', () => {
    const bought = [
      { productId: 'prod-001', name: 'Mechanical Keyboard', price: 149.99, quantity: 2 },
      { productId: 'prod-002', name: 'Wireless Mouse', price: 49.99, quantity: 1 },
    ]
    const lines = refreshed(addLines(add([], KEYBOARD), bought), [KEYBOARD, MOUSE])
    expect(lines.map(({ name, quantity, image }) => [name, quantity, image])).toEqual([
      ['Mechanical Keyboard', 3, KEYBOARD.image],
      ['Wireless Mouse', 1, MOUSE.image],
    ])
  })

  it('removes a line', () => {
    expect(remove(add(add([], KEYBOARD), MOUSE), 'prod-001').map(({ productId }) => productId)).toEqual(['prod-002'])
  })

  it('keeps what was not bought', () => {
    const lines = add(add([], KEYBOARD, 3), MOUSE)
    expect(without(lines, [{ productId: 'prod-001', quantity: 2 }])).toEqual(add(add([], KEYBOARD), MOUSE))
    expect(without(lines, lines)).toEqual([])
    expect(without(lines, [{ productId: 'prod-009', quantity: 1 }])).toEqual(lines)
  })

  it('has one content, in whatever sequence it was filled', () => {
    const lines = add(add([], KEYBOARD), MOUSE)
    expect(content(lines)).toBe(content(add(add([], MOUSE), KEYBOARD)))
    expect(content(lines)).not.toBe(content(add(lines, MOUSE)))
  })

  it('loses nothing that another tab has just put in', () => {
    cart.set(add([], KEYBOARD))
    localStorage.setItem('cart', JSON.stringify(add(cart.get(), MOUSE)))
    cart.update((lines) => add(lines, KEYBOARD))
    expect(cart.get().map(({ quantity }) => quantity)).toEqual([2, 1])
  })

  it('takes prices and names from the catalogue, and keeps what the catalogue no longer has', () => {
    const lines = add(add([], KEYBOARD), MOUSE)
    const [keyboard, mouse] = refreshed(lines, [{ ...KEYBOARD, price: 99, name: 'Keyboard' }])
    expect(keyboard).toMatchObject({ price: 99, name: 'Keyboard', quantity: 1 })
    expect(mouse).toEqual(lines[1])
  })

  it('is kept in local storage, and hears of other tabs', () => {
    cart.set(add([], KEYBOARD))
    expect(JSON.parse(localStorage.getItem('cart') ?? '')).toMatchObject([{ productId: 'prod-001', quantity: 1 }])
    localStorage.setItem('cart', JSON.stringify(add([], MOUSE, 5)))
    window.dispatchEvent(new StorageEvent('storage', { key: 'cart' }))
    expect(count(cart.get())).toBe(5)
  })

  it.each(['nonsense', '{}', 'null', '[null, 3, {"productId": 7}, {"quantity": 1}]'])(
    'bears %s in local storage',
    (text) => {
      localStorage.setItem('cart', text)
      window.dispatchEvent(new StorageEvent('storage', { key: 'cart' }))
      expect(cart.get()).toEqual([])
    },
  )

  it('makes sense of lines that somebody else has written', () => {
    const written = [
      { productId: 'prod-001', quantity: 1e300, name: { toString: 1 }, price: 'free', image: 7, category: ['x'] },
      { productId: 'prod-002', quantity: 2, name: 'Mouse', price: -5, image: 'https://elsewhere.example/x.png' },
      { productId: 'prod-002', quantity: 3 },
      { productId: '', quantity: 1 },
    ]
    localStorage.setItem('cart', JSON.stringify(written))
    window.dispatchEvent(new StorageEvent('storage', { key: 'cart' }))
    expect(cart.get()).toEqual([
      { productId: 'prod-001', quantity: MAX_QUANTITY, name: 'prod-001', price: 0, image: '', category: '' },
      { productId: 'prod-002', quantity: 5, name: 'Mouse', price: 0, image: '', category: '' },
    ])
  })
})
