/**
 * The store's meaning of the API's resources. The host does not describe what steps and catalogues add to them, so that is read here,
 * once, and with defaults: a catalogue without pictures is still a catalogue.
 */
import type { components } from '../../shared/api/schema'

type Schemas = components['schemas']
export type Transition = Schemas['HistoryEntry']
/** One event of an order's stream. */
export type Change = Schemas['Change_orders']
export type OrderLine = Schemas['OrderLine']
/** What will be tried by itself, when, and which of how many tries that will be; without an end it is as often as it takes. */
export type Wait = Schemas['Next']

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

export interface Order {
  id: string
  state: string
  /** Nothing follows from its state. */
  isFinal: boolean
  /** What the customer may ask for now. */
  actions: readonly string[]
  version: number
  createdAt: string
  lastUpdate: string
  items: OrderLine[]
  total: number
  shipping: Schemas['Address']
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
  /** What will be tried by itself, and when. */
  next: Wait | undefined
  /** Oldest first; empty in a list. A long one begins in the middle. */
  history: Transition[]
  /** What is before that, the store tells when it is asked for the history before this number. */
  historyNext: number | undefined
}

/** Money that is given back of an order. */
export interface Refund {
  id: string
  state: string
  isFinal: boolean
  /** In dollars. */
  amount: number
  reason: string
}

/** What the store sells the lines of a refused order for. */
export interface Offer {
  lines: OrderLine[]
  total: number
}

export function toProduct(resource: Schemas['Resource_products']): Product {
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

export function toOrder(resource: Schemas['Resource_orders']): Order {
  return {
    id: resource.id,
    state: resource.state,
    isFinal: resource.final,
    actions: resource.actions,
    version: resource.version,
    createdAt: resource.createdAt,
    lastUpdate: resource.lastUpdate,
    ...business(resource.data),
    attention: resource.attention,
    next: resource.next,
    history: resource.history ?? [],
    historyNext: Number(resource.historyNext) || undefined,
  }
}

export function toRefund(resource: Schemas['Resource_refunds']): Refund {
  const { data } = resource
  return {
    id: resource.id,
    state: resource.state,
    isFinal: resource.final,
    amount: number(data.amount) / 100,
    reason: text(data.reason) ?? '',
  }
}

/** From the answer that prices have changed; nothing from any other. */
export function toOffer(problem: Readonly<Record<string, unknown>>): Offer | undefined {
  if (problem.code !== 'price_changed' || !Array.isArray(problem.lines)) return undefined
  return { lines: problem.lines.map((line) => toLine(record(line))), total: number(problem.total) }
}

/**
 * The order after a change. A stream may repeat what is known, and another call may have been faster than it.
 */
export function withChange(order: Order, change: Change): Order {
  const [earliest, latest] = [order.history[0]?.seq ?? 0, order.history.at(-1)?.seq ?? 0]
  const { seq } = change.transition
  const isBefore = seq < earliest
  const known = { ...order, ...(!isBefore && joined(order, { history: [change.transition], historyNext: undefined })) }
  if (change.version < order.version || seq < latest) return known
  return {
    ...known,
    ...business(change.data),
    state: change.state,
    isFinal: change.final,
    actions: change.actions,
    version: change.version,
    lastUpdate: change.transition.at,
    // What waits now is told by the next answer.
    next: undefined,
  }
}

type History = Pick<Order, 'history' | 'historyNext'>

/** Two parts of one history. Between parts that do not meet something is missing: then the later one alone is told. */
export function joined(one: History, other: History): History {
  const [early, late] = firstOf(one) <= firstOf(other) ? [one, other] : [other, one]
  const lastOfEarly = early.history.at(-1)?.seq ?? 0
  if (late.historyNext !== undefined && firstOf(late) > lastOfEarly + 1) return late
  const bySeq = new Map([...early.history, ...late.history].map((entry) => [entry.seq, entry]))
  const history = [...bySeq.values()].sort((a, b) => a.seq - b.seq)
  return { history, historyNext: early.history.length > 0 ? early.historyNext : late.historyNext }
}

function firstOf({ history }: History): number {
  return history[0]?.seq ?? Number.POSITIVE_INFINITY
}

/** Another version may have stored the order: what has another shape is left out, and the rest is shown. */
function business(data: Readonly<Record<string, unknown>>): Pick<Order, 'items' | 'total' | 'shipping' | 'results'> {
  const shipping = record(data.shipping)
  const line = (name: string) => text(shipping[name]) ?? ''
  return {
    items: (Array.isArray(data.items) ? data.items : []).map((item) => toLine(record(item))),
    total: number(data.total),
    shipping: { address: line('address'), city: line('city'), state: line('state'), zip: line('zip') },
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
