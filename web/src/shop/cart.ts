/** What the customer wants to buy: kept in this browser, priced by the catalogue for show, and by the store for good. */

import { json, type Stored, stored, useStored } from '../shared/storage'
import type { Product } from './api/resources'

export interface CartLine {
  productId: string
  name: string
  price: number
  image: string
  category: string
  quantity: number
}

/** Of one line; the store takes more, a person hardly means it. */
export const MAX_QUANTITY = 9999

export const cart: Stored<CartLine[]> = stored(
  'cart',
  json<CartLine[]>([], (value) => (Array.isArray(value) ? merged(value.flatMap(toLine)) : undefined)),
)

/** A line that makes sense, with what it must have, whoever wrote it. */
function toLine(value: unknown): CartLine[] {
  if (typeof value !== 'object' || value === null) return []
  const { productId, quantity, name, price, image, category } = value as Record<keyof CartLine, unknown>
  if (typeof productId !== 'string' || productId === '' || typeof quantity !== 'number') return []
  return [
    {
      productId,
      name: text(name) || productId,
      price: typeof price === 'number' && price > 0 ? price : 0,
      // Pictures are the store's own.
      image: text(image).startsWith('/') ? text(image) : '',
      category: text(category),
      quantity: within(quantity),
    },
  ]
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** A line for each product. */
function merged(lines: CartLine[]): CartLine[] {
  const byProduct = new Map<string, CartLine>()
  for (const line of lines) {
    const there = byProduct.get(line.productId)
    byProduct.set(line.productId, there ? { ...there, quantity: within(there.quantity + line.quantity) } : line)
  }
  return [...byProduct.values()]
}

function within(quantity: number): number {
  return Number.isFinite(quantity) ? Math.min(Math.max(Math.trunc(quantity), 1), MAX_QUANTITY) : 1
}

export function add(lines: CartLine[], product: Product, quantity = 1): CartLine[] {
  const there = lines.find((line) => line.productId === product.id)
  if (there) return setQuantity(lines, product.id, there.quantity + quantity)
  const { id: productId, name, price, image, category } = product
  return [...lines, { productId, name, price, image, category, quantity: within(quantity) }]
}

/** With the lines of an order, which know no picture; see `refreshed`. */
export function addLines(
  lines: CartLine[],
  bought: readonly Pick<CartLine, 'productId' | 'name' | 'price' | 'quantity'>[],
) {
  return merged([...lines, ...bought.map((line) => ({ ...line, image: '', category: '' }))])
}

export function setQuantity(lines: CartLine[], productId: string, quantity: number): CartLine[] {
  return lines.map((line) => (line.productId === productId ? { ...line, quantity: within(quantity) } : line))
}

export function remove(lines: CartLine[], productId: string): CartLine[] {
  return lines.filter((line) => line.productId !== productId)
}

/** What is left when this much of it was bought. */
export function without(lines: CartLine[], bought: readonly Pick<CartLine, 'productId' | 'quantity'>[]): CartLine[] {
  return lines.flatMap((line) => {
    const { quantity = 0 } = bought.find(({ productId }) => productId === line.productId) ?? {}
    return line.quantity > quantity ? [{ ...line, quantity: line.quantity - quantity }] : []
  })
}

/** What is in it and how many of each, as a text: the same for the same, however it came about. */
export function content(lines: readonly Pick<CartLine, 'productId' | 'quantity'>[]): string {
  return JSON.stringify(lines.map(({ productId, quantity }) => [productId, quantity] as const).sort())
}

export function count(lines: CartLine[]): number {
  return lines.reduce((sum, line) => sum + line.quantity, 0)
}

/** In dollars; summed in cents, since dollars do not add up exactly. */
export function total(lines: CartLine[]): number {
  return lines.reduce((sum, line) => sum + Math.round(line.price * 100) * line.quantity, 0) / 100
}

/** The lines as the catalogue has them now. Products that it no longer has stay, so that the customer can see and remove them. */
export function refreshed(lines: CartLine[], products: Product[] | undefined): CartLine[] {
  return lines.map((line) => {
    const product = products?.find(({ id }) => id === line.productId)
    if (!product) return line
    const { name, price, image, category } = product
    return { ...line, name, price, image, category }
  })
}

export function useCart(): CartLine[] {
  return useStored(cart)
}
