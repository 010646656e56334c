/** Answers of the API as tests need them. */
import { type Order, type Product, type Transition, toOrder } from '../api/resources'

export const KEYBOARD: Product = {
  id: 'prod-001',
  name: 'Mechanical Keyboard',
  description: 'Premium hot-swappable mechanical keyboard.',
  category: 'Electronics',
  price: 149.99,
  stock: 50,
  image: '/img/electronics.svg',
}

export const MOUSE: Product = { ...KEYBOARD, id: 'prod-002', name: 'Wireless Mouse', price: 49.99, stock: 120 }

/** A history that passes through these states, one second apart. */
export function history(...states: string[]): Transition[] {
  return states.slice(1).map((to, index) => ({
    seq: index + 1,
    from: states[index] ?? '',
    to,
    transition: `to_${to}`,
    at: `2026-11-23T16:28:${String(10 + index)}.000Z`,
    cause: 'accepted',
    component: null,
    digest: null,
    attempt: null,
    reason: null,
  }))
}

/** The business data of an order in that state, with what a test adds to it. */
export function data(state: string, more: Record<string, unknown> = {}) {
  return {
    items: [{ productId: 'prod-001', name: 'Mechanical Keyboard', quantity: 2, price: 149.99 }],
    total: 299.98,
    shipping: { address: '123 Main St', city: 'Portland', state: 'OR', zip: '97201' },
    userId: 'user-1',
    state,
    ...more,
  }
}

/** Where an order stands, unless a test says otherwise: something follows, and nothing can be asked of it. */
const ON_ITS_WAY = { final: false, actions: [] as string[] }
export const ENDED = { final: true, actions: [] as string[] }

export function order(
  state: string,
  entries: Transition[] = [],
  more: Record<string, unknown> = {},
  standing = ON_ITS_WAY,
): Order {
  return toOrder({
    id: 'order-1',
    state,
    ...standing,
    version: entries.length,
    createdAt: '2026-11-23T16:28:09.000Z',
    lastUpdate: '2026-11-23T16:28:20.000Z',
    history: entries,
    data: data(state, more),
  })
}
