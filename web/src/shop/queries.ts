/** What the pages ask the API, by key. */
import { outdate, peek, put, useAnswer } from './answers'
import * as api from './api/client'
import type { Order } from './api/resources'

export function useProducts() {
  return useAnswer('products', api.products)
}

/** After a purchase there is less of something. */
export function stockChanged() {
  outdate((key) => key.startsWith('product'))
}

export function orderKey(id: string): string {
  return `order/${id}`
}

/** Puts an answer where the pages look. */
export function keepOrder(order: Order) {
  put(orderKey(order.id), newer(peek(orderKey(order.id)), order))
  outdate((each) => each === 'orders')
}

/** An answer may have been overtaken by events. */
export function newer(known: Order | undefined, order: Order): Order {
  if (!known) return order
  const history = known.history.length > order.history.length ? known.history : order.history
  return { ...(order.version >= known.version ? order : known), history }
}
