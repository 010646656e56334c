/** Everybody's orders, what is noted about them, and the refunds of them. */
import type { components } from '../../shared/api/schema'
import { call, type Page, page } from '../../shared/desk/api/call'

type Schemas = components['schemas']
export type Transition = Schemas['HistoryEntry']

export interface Order {
  id: string
  state: string
  isFinal: boolean
  /** What may be asked for now, by who asks. */
  actions: readonly string[]
  version: number
  createdAt: string
  lastUpdate: string
  /** Why a person is asked to look at it. */
  attention: string | undefined
  next: Schemas['Next'] | undefined
  history: readonly Transition[]
  lines: readonly Line[]
  /** In dollars. */
  total: number
  userId: string
  email: string
  shipping: Schemas['Address'] | undefined
  /** What the steps have left behind, by its name. */
  results: Readonly<Record<string, string>>
}

export interface Line {
  productId: string
  name: string
  quantity: number
  /** In dollars, of one. */
  price: number
}

interface Resource {
  id: string
  state: string
  final?: boolean
  actions?: string[]
  version: number
  createdAt: string
  lastUpdate: string
  attention?: string | null
  next?: Schemas['Next'] | null
  history?: Transition[]
  data: Readonly<Record<string, unknown>>
}

/** Of these the page has a place of its own. */
const KNOWN = ['items', 'shipping', 'total', 'state', 'userId', 'email', 'id', 'payment']

export function toOrder(resource: Resource): Order {
  const { data } = resource
  const text = (name: string) => (typeof data[name] === 'string' ? data[name] : '')
  return {
    id: resource.id,
    state: resource.state,
    isFinal: resource.final ?? false,
    actions: resource.actions ?? [],
    version: resource.version,
    createdAt: resource.createdAt,
    lastUpdate: resource.lastUpdate,
    attention: resource.attention ?? undefined,
    next: resource.next ?? undefined,
    history: resource.history ?? [],
    lines: (Array.isArray(data.items) ? data.items : []).map(toLine),
    total: number(data.total),
    userId: text('userId'),
    email: text('email'),
    shipping: isRecord(data.shipping) ? (data.shipping as Schemas['Address']) : undefined,
    results: Object.fromEntries(
      Object.entries(data)
        .filter(([name, value]) => !KNOWN.includes(name) && ['string', 'number', 'boolean'].includes(typeof value))
        .map(([name, value]) => [name, String(value)]),
    ),
  }
}

function toLine(value: unknown): Line {
  const line = isRecord(value) ? value : {}
  return {
    productId: String(line.productId ?? ''),
    name: String(line.name ?? line.productId ?? ''),
    quantity: number(line.quantity),
    price: number(line.price),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

export const STATES = [
  'new',
  'validating',
  'validated',
  'paying',
  'paid',
  'payment_failed',
  'shipping',
  'shipped',
  'ship_failed',
  'delivered',
  'cancelled',
  'failed',
] as const

export const FILTERS = ['search', 'state', 'from', 'to', 'minTotal', 'maxTotal', 'attention', 'product'] as const
export type Filters = Readonly<Record<(typeof FILTERS)[number], string>>

/** All of them. */
export const NO_FILTER: Filters = {
  search: '',
  state: '',
  from: '',
  to: '',
  minTotal: '',
  maxTotal: '',
  attention: '',
  product: '',
}

/** As the API wants it: whole days as moments, money in cents. */
export function asked({ from, to, minTotal, maxTotal, ...rest }: Filters): Record<string, string | undefined> {
  return { ...rest, from: startOf(from), to: endOf(to), minTotal: cents(minTotal), maxTotal: cents(maxTotal) }
}

/** Of the reader's day; a moment is what it is. */
function startOf(day: string): string | undefined {
  return moment(isDay(day) ? `${day}T00:00:00` : day)
}

function endOf(day: string): string | undefined {
  return moment(isDay(day) ? `${day}T23:59:59.999` : day)
}

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text)
}

function moment(local: string): string | undefined {
  const time = new Date(local)
  return local && !Number.isNaN(time.getTime()) ? time.toISOString() : undefined
}

/** From dollars as they are typed. */
export function cents(dollars: string): string | undefined {
  const amount = Number(dollars)
  return dollars.trim() !== '' && Number.isFinite(amount) ? String(Math.round(amount * 100)) : undefined
}

export async function orders(filters: Filters, cursor: string | undefined, signal: AbortSignal | null, limit = 50) {
  const found = await page<Resource>('/api/admin/orders', { ...asked(filters), cursor, limit }, signal)
  return { ...found, items: found.items.map(toOrder) }
}

/** How many orders were placed and paid for, in each bucket of a time. */
export async function figures(from: number, to: number, bucket: 'minute' | 'hour', signal: AbortSignal | null) {
  const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString(), bucket }
  return (await call<Schemas['Figures']>('/api/admin/orders/figures', { query, signal })).data
}

function path(id: string, rest = ''): string {
  return `/api/admin/orders/${encodeURIComponent(id)}${rest}`
}

export async function order(id: string, signal: AbortSignal | null = null): Promise<Order> {
  return toOrder((await call<Resource>(path(id), { signal })).data)
}

/** What the state machine is asked to do, and why. */
export async function act(id: string, action: string, reason: string): Promise<Order> {
  return toOrder((await call<Resource>(path(id, `/${action}`), { method: 'POST', body: { reason } })).data)
}

export interface Note {
  id?: string
  seq?: number
  text: string
  author?: string
  at: string
}

export function notes(id: string, signal: AbortSignal): Promise<Page<Note>> {
  return page(path(id, '/notes'), {}, signal)
}

export async function addNote(id: string, text: string, key: string): Promise<void> {
  await call(path(id, '/notes'), { method: 'POST', body: { text }, headers: { 'Idempotency-Key': key } })
}

export interface Refund {
  id: string
  state: string
  /** In cents. */
  amount: number
  reason: string
  restock: boolean
  createdAt: string
  attention: string | undefined
  actions: readonly string[]
}

export async function refunds(orderId: string, signal: AbortSignal): Promise<Refund[]> {
  const { items } = await page<Resource>('/api/admin/refunds', { orderId }, signal)
  return items.map(toRefund)
}

function toRefund({ id, state, createdAt, attention, actions, data }: Resource): Refund {
  return {
    id,
    state,
    createdAt,
    attention: attention ?? undefined,
    actions: actions ?? [],
    amount: number(data.amount),
    reason: typeof data.reason === 'string' ? data.reason : '',
    restock: data.restock === true,
  }
}

/** Asks the payment provider, or the stock, once more. */
export async function retryRefund(id: string): Promise<void> {
  await call(`/api/admin/refunds/${encodeURIComponent(id)}/retry`, { method: 'POST', body: {} })
}

export interface NewRefund {
  orderId: string
  /** In cents. */
  amount: number
  reason: string
  restock: boolean
}

export async function refund(body: NewRefund, key: string): Promise<Refund> {
  const ask = { method: 'POST', body, headers: { 'Idempotency-Key': key } } as const
  return toRefund((await call<Resource>('/api/admin/refunds', ask)).data)
}
