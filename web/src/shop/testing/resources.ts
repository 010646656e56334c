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

export function order(state: string, entries: Transition[] = [], data: Record<string, unknown> = {}): Order {
  return toOrder({
    id: 'order-1',
    state,
    version: entries.length,
    createdAt: '2026-11-23T16:28:09.000Z',
    lastUpdate: '2026-11-23T16:28:20.000Z',
    history: entries,
    data: {
      items: [{ productId: 'prod-001', name: 'Mechanical Keyboard', quantity: 2, price: 149.99 }],
      total: 299.98,
      ...data,
    },
  })
}
