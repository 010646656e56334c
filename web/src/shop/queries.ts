/** What the pages ask the API, by key. */
import { outdate, peek, put, useAction, useAnswer } from '../shared/answers'
import { ApiError } from '../shared/api/errors'
import * as api from './api/client'
import { joined, type Order, type Product } from './api/resources'

const CATALOGUE = 'products'

/** The catalogue, page by page, as far as somebody wanted to see it. */
export function useCatalogue() {
  const { data, error, refresh } = useAnswer<api.ProductPage>(CATALOGUE, (signal, known) =>
    asFarAs(known?.products.length ?? 0, signal),
  )
  const more = useAction(() => api.products(data?.cursor), {
    onSuccess: ({ products, cursor }) => put(CATALOGUE, { products: [...(data?.products ?? []), ...products], cursor }),
  })
  return { products: data?.products, hasMore: data?.cursor !== undefined, error, refresh, more }
}

async function asFarAs(count: number, signal: AbortSignal): Promise<api.ProductPage> {
  let { products, cursor } = await api.products(undefined, signal)
  while (cursor && products.length < count) {
    const next = await api.products(cursor, signal)
    products = [...products, ...next.products]
    cursor = next.cursor
  }
  return { products, cursor }
}

/** As it was when it was last seen. */
export function knownProduct(id: string): Product | undefined {
  return peek<api.ProductPage>(CATALOGUE)?.products.find((product) => product.id === id)
}

/** These products as the store has them now; without those that it no longer has. */
export function useProducts(ids: string[]): Product[] | undefined {
  const wanted = [...ids].sort()
  const key = `products/${wanted.map(encodeURIComponent).join(',')}`
  return useAnswer<Product[]>(key, (signal) => found(wanted, signal)).data
}

/** Most carts hold what is on the first page, which costs the store the least. */
async function found(ids: string[], signal: AbortSignal): Promise<Product[]> {
  if (ids.length === 0) return []
  const { products } = await api.products(undefined, signal)
  const known = new Map(products.map((product) => [product.id, product]))
  const answers = await Promise.all(ids.map((id) => known.get(id) ?? ifSold(id, signal)))
  return answers.filter((product) => product !== undefined)
}

async function ifSold(id: string, signal: AbortSignal): Promise<Product | undefined> {
  try {
    return await api.product(id, signal)
  } catch (error) {
    if (error instanceof ApiError && error.failure === 'missing') return undefined
    throw error
  }
}

/** After a purchase there is less of something, and prices change. */
export function catalogueChanged() {
  outdate((key) => key.startsWith('product'))
}

export function orderKey(id: string): string {
  return `order/${id}`
}

/** Puts an answer where the pages look. */
export function keepOrder(order: Order) {
  put(orderKey(order.id), newer(peek(orderKey(order.id)), order))
  outdate((each) => each === 'orders')
  const older = peek<api.OrderPage[]>(OLDER)
  if (older)
    put(
      OLDER,
      older.map((page) => ({ ...page, orders: page.orders.map((each) => (each.id === order.id ? order : each)) })),
    )
}

const OLDER = 'orders/older'

/** The pages of orders after the newest one, as far as somebody wanted to see them; they are there when that comes back. */
export function useOlderOrders(newest: api.OrderPage | undefined) {
  const pages = useAnswer<api.OrderPage[]>(OLDER, async (_, known) => known ?? []).data ?? []
  const cursor = (pages.at(-1) ?? newest)?.cursor
  const more = useAction(() => api.orders(cursor), { onSuccess: (page) => put(OLDER, [...pages, page]) })
  return { orders: pages.flatMap((page) => page.orders), cursor, more }
}

/** An answer may have been overtaken by events. */
export function newer(known: Order | undefined, order: Order): Order {
  if (!known) return order
  return { ...(order.version >= known.version ? order : known), ...joined(known, order) }
}
