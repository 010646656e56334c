/**
 * The store's meaning of the API's generic resources. The host does not describe what steps and catalogues add to them, so it is read here,
 * once, and with defaults: a catalogue without pictures is still a catalogue.
 */
import type { components } from './schema'

type Resource = components['schemas']['Resource']
export type Transition = components['schemas']['HistoryEntry']
/** One event of an order's stream. */
export type Change = components['schemas']['Change']

export interface Product {
  id: string
  name: string
  description: string
  category: string
  /** In dollars. */
  price: number
  /** Units. */
  stock: number
  /** Path of a picture, or empty. */
  image: string
}

export interface OrderLine {
  productId: string
  name: string
  quantity: number
  price: number
}

export interface Order {
  id: string
  state: string
  version: number
  createdAt: string
  lastUpdate: string
  items: OrderLine[]
  total: number
  shipping: { address: string; city: string; state: string; zip: string }
  /** What the steps have added so far. */
  results: {
    reservedUntil: string | undefined
    transactionId: string | undefined
    last4: string | undefined
    trackingNumber: string | undefined
    carrier: string | undefined
    estimatedDelivery: string | undefined
    /** Why the last step that said no did. */
    reason: string | undefined
  }
  /** Set when a person is looking into it. */
  attention: string | undefined
  /** Oldest first; empty in a list. */
  history: Transition[]
}

export function toProduct(resource: Resource): Product {
  const { data } = resource
  return {
    id: resource.id,
    name: text(data.name) ?? resource.id,
    description: text(data.description) ?? '',
    category: text(data.category) ?? '',
    price: number(data.price),
    stock: number(data.stock),
    image: text(data.image) ?? '',
  }
}

export function toOrder(resource: Resource): Order {
  return {
    id: resource.id,
    state: resource.state,
    version: resource.version,
    createdAt: resource.createdAt,
    lastUpdate: resource.lastUpdate,
    ...business(resource.data),
    attention: text(resource.attention),
    history: resource.history ?? [],
  }
}

/**
 * The order after a change. A stream may repeat what is known, and another call may have been faster than it.
 */
export function withChange(order: Order, change: Change): Order {
  const known = order.history.some((entry) => entry.seq === change.transition.seq)
  const history = known ? order.history : [...order.history, change.transition].sort((a, b) => a.seq - b.seq)
  const latest = order.history.at(-1)?.seq ?? 0
  if (change.version < order.version || change.transition.seq < latest) return { ...order, history }
  return {
    ...order,
    ...business(change.data),
    history,
    state: change.state,
    version: change.version,
    lastUpdate: change.transition.at,
  }
}

function business(data: Record<string, unknown>): Pick<Order, 'items' | 'total' | 'shipping' | 'results'> {
  const shipping = record(data.shipping)
  return {
    items: (Array.isArray(data.items) ? data.items : []).map((item) => toLine(record(item))),
    total: number(data.total),
    shipping: {
      address: text(shipping.address) ?? '',
      city: text(shipping.city) ?? '',
      state: text(shipping.state) ?? '',
      zip: text(shipping.zip) ?? '',
    },
    results: {
      reservedUntil: text(data.reserved_until),
      transactionId: text(data.transaction_id),
      last4: text(data.last4),
      trackingNumber: text(data.tracking_number),
      carrier: text(data.carrier),
      estimatedDelivery: text(data.estimated_delivery),
      reason: text(data.reason),
    },
  }
}

function toLine(item: Record<string, unknown>): OrderLine {
  const productId = text(item.productId) ?? ''
  return { productId, name: text(item.name) ?? productId, quantity: number(item.quantity), price: number(item.price) }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}
