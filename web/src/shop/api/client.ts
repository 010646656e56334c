/** The calls of the store. Every failure is an ApiError. */
import { call } from '../../shared/api/call'
import { nextCursor } from '../../shared/api/pages'
import { type Order, type Product, toOrder, toProduct } from './resources'

export interface ProductPage {
  products: Product[]
  /** Leads to the next page. */
  cursor: string | undefined
}

export async function products(cursor: string | undefined, signal?: AbortSignal): Promise<ProductPage> {
  const { data, headers } = await call('get', '/api/products', { query: { ...(cursor && { cursor }) }, signal })
  return { products: data.map(toProduct), cursor: nextCursor(headers) }
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
  return { orders: data.map(toOrder), cursor: nextCursor(headers) }
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
