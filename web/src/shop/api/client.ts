/** The calls of the store. Every failure is an ApiError. */
import { answered, http } from '../../shared/api/http'
import { nextCursor } from '../../shared/api/pages'
import { type Order, type Product, type Refund, toOrder, toProduct, toRefund } from './resources'

export interface ProductPage {
  products: Product[]
  /** Leads to the next page. */
  cursor: string | undefined
}

export async function products(cursor: string | undefined, signal: AbortSignal | null = null): Promise<ProductPage> {
  const query = { ...(cursor && { cursor }) }
  const { data, headers } = await answered(http.GET('/api/products', { params: { query }, signal }))
  return { products: data.map(toProduct), cursor: nextCursor(headers) }
}

export async function product(id: string, signal: AbortSignal): Promise<Product> {
  return toProduct((await answered(http.GET('/api/products/{id}', { params: { path: { id } }, signal }))).data)
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
  const params = { header: { 'Idempotency-Key': idempotencyKey } }
  return toOrder((await answered(http.POST('/api/orders', { params, body: { ...purchase } }))).data)
}

export interface OrderPage {
  orders: Order[]
  /** Leads to the next page. */
  cursor: string | undefined
}

export async function orders(cursor: string | undefined, signal: AbortSignal | null = null): Promise<OrderPage> {
  const query = { limit: 20, ...(cursor && { cursor }) }
  const { data, headers } = await answered(http.GET('/api/orders', { params: { query }, signal }))
  return { orders: data.map(toOrder), cursor: nextCursor(headers) }
}

/** With the last page of its history, or with the page before `historyBefore`. */
export async function order(id: string, signal: AbortSignal | null = null, historyBefore?: number): Promise<Order> {
  const params = { path: { id }, query: { ...(historyBefore && { historyBefore }) } }
  return toOrder((await answered(http.GET('/api/orders/{id}', { params, signal }))).data)
}

/** What was given back of an order, the newest first. */
export async function refunds(orderId: string, signal: AbortSignal | null = null): Promise<Refund[]> {
  const params = { query: { orderId, limit: 100 } }
  return (await answered(http.GET('/api/refunds', { params, signal }))).data.map(toRefund)
}

export async function cancelOrder(id: string): Promise<Order> {
  return toOrder((await answered(http.POST('/api/orders/{id}/cancel', { params: { path: { id } } }))).data)
}

/** With another payment token, or with what the order was placed with. */
export async function retryOrder(id: string, payment?: { token: string }): Promise<Order> {
  const body = payment ? { payment } : {}
  return toOrder((await answered(http.POST('/api/orders/{id}/retry', { params: { path: { id } }, body }))).data)
}
