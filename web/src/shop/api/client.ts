/** The calls of the store. Every failure is an ApiError. */
import { call } from './call'
import { type Order, type Product, toOrder, toProduct } from './resources'
import type { components } from './schema'

type Schemas = components['schemas']

export async function register(body: Schemas['Registration']) {
  return (await call('post', '/api/auth/register', { body, anonymous: true })).data
}

export async function login(body: Schemas['Credentials']) {
  return (await call('post', '/api/auth/login', { body, anonymous: true })).data
}

export async function profile(signal: AbortSignal) {
  return (await call('get', '/api/auth/profile', { signal })).data
}

export async function changeProfile(body: Schemas['ProfileChange']) {
  return (await call('put', '/api/auth/profile', { body })).data
}

export interface ProductPage {
  products: Product[]
  /** Leads to the next page. */
  cursor: string | undefined
}

export async function products(cursor: string | undefined, signal?: AbortSignal): Promise<ProductPage> {
  const { data, headers } = await call('get', '/api/products', { query: { ...(cursor && { cursor }) }, signal })
  return { products: data.map(toProduct), cursor: nextCursor(headers.get('link')) }
}

export async function product(id: string, signal: AbortSignal): Promise<Product> {
  return toProduct((await call('get', '/api/products/{id}', { path: { id }, signal })).data)
}

export interface Purchase {
  items: { productId: string; quantity: number }[]
  shipping: { address: string; city: string; state: string; zip: string }
  payment: { token: string }
  /** In dollars: what the customer was told. The store refuses another sum, and says what it is. */
  expectedTotal?: number
}

/** The same key and the same purchase make one order, however often they are sent. */
export async function placeOrder(purchase: Purchase, idempotencyKey: string): Promise<Order> {
  const header = { 'Idempotency-Key': idempotencyKey }
  return toOrder((await call('post', '/api/orders', { header, body: { ...purchase } })).data)
}

export interface OrderPage {
  orders: Order[]
  /** Leads to the next page. */
  cursor: string | undefined
}

export async function orders(cursor: string | undefined, signal?: AbortSignal): Promise<OrderPage> {
  const { data, headers } = await call('get', '/api/orders', {
    query: { limit: 20, ...(cursor && { cursor }) },
    signal,
  })
  return { orders: data.map(toOrder), cursor: nextCursor(headers.get('link')) }
}

/** With the last page of its history, or with the page before `historyBefore`. */
export async function order(id: string, signal?: AbortSignal, historyBefore?: number): Promise<Order> {
  const query = { ...(historyBefore && { historyBefore }) }
  return toOrder((await call('get', '/api/orders/{id}', { path: { id }, query, signal })).data)
}

export async function cancelOrder(id: string): Promise<Order> {
  return toOrder((await call('post', '/api/orders/{id}/cancel', { path: { id } })).data)
}

/** With another payment token, or with what the order was placed with. */
export async function retryOrder(id: string, payment?: { token: string }): Promise<Order> {
  return toOrder(
    (await call('post', '/api/orders/{id}/retry', { path: { id }, body: payment ? { payment } : {} })).data,
  )
}

/** The cursor in an RFC 8288 `Link` header whose relation is `next`. */
export function nextCursor(link: string | null): string | undefined {
  const next = link?.split(',').find((part) => part.includes('rel="next"'))
  const target = next?.match(/<([^>]*)>/)?.[1]
  return target ? (new URL(target, location.origin).searchParams.get('cursor') ?? undefined) : undefined
}
