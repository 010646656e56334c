/** What the pages ask the API, by key. */
import { outdate, peek, put, useAction, useAnswer } from './answers'
import * as api from './api/client'
import { ApiError, explain } from './api/errors'
import type { Order, Product } from './api/resources'
import { toast } from './ui/toasts'

const CATALOGUE = 'products'

/** The catalogue, page by page, as far as somebody wanted to see it. */
export function useCatalogue() {
  const { data, error, refresh } = useAnswer<api.ProductPage>(CATALOGUE, (signal, known) =>
    asFarAs(known?.products.length ?? 0, signal),
  )
  const { run: more, isPending } = useAction(() => api.products(data?.cursor), {
    onSuccess: ({ products, cursor }) => put(CATALOGUE, { products: [...(data?.products ?? []), ...products], cursor }),
    onError: (problem) => toast('error', explain(problem)),
  })
  return { products: data?.products, hasMore: data?.cursor !== undefined, error, refresh, more, isPending }
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
