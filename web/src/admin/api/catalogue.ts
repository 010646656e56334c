/** Products, their prices, their import, and the ledger of their stock. */
import type { components } from '../../shared/api/schema'
import { call, type Page, page } from '../../shared/desk/api/call'

type Schemas = components['schemas']

export const STATUSES = ['draft', 'active', 'retired'] as const
export type Status = (typeof STATUSES)[number]

/** What the form of a product changes. */
export interface ProductData {
  name: string
  /** In dollars, as the catalogue has it. */
  price: number
  category: string
  description: string
  /** Path of a picture. */
  image: string
  status: Status
}

export interface Product extends ProductData {
  id: string
  /** Units. */
  stock: number
  version: number
  lastUpdate: string
  /** Everything that is kept, with what the form does not know. */
  data: Readonly<Record<string, unknown>>
}

interface Resource {
  id: string
  data: Readonly<Record<string, unknown>>
  version: number
  lastUpdate: string
}

/** A product of another version of the store is shown as far as it is understood. */
export function toProduct({ id, data, version, lastUpdate }: Resource): Product {
  const text = (name: string) => (typeof data[name] === 'string' ? data[name] : '')
  const number = (name: string) => (typeof data[name] === 'number' ? data[name] : 0)
  return {
    id,
    name: text('name') || id,
    price: number('price'),
    category: text('category'),
    description: text('description'),
    image: text('image'),
    status: STATUSES.find((each) => each === data.status) ?? 'active',
    stock: number('stock'),
    version,
    lastUpdate,
    data,
  }
}

export interface ProductFilter {
  search: string
  status: string
}

export async function products(filter: ProductFilter, cursor: string | undefined, signal: AbortSignal | null) {
  const found = await page<Resource>('/api/admin/products', { ...filter, cursor, limit: 50 }, signal)
  return { ...found, items: found.items.map(toProduct) }
}

export async function product(id: string, signal: AbortSignal | null = null): Promise<Product> {
  return toProduct((await call<Resource>(`/api/admin/products/${encodeURIComponent(id)}`, { signal })).data)
}

export async function createProduct(id: string, data: ProductData, key: string): Promise<Product> {
  const ask = { method: 'POST', body: { ...(id && { id }), ...data }, headers: { 'Idempotency-Key': key } } as const
  return toProduct((await call<Resource>('/api/admin/products', ask)).data)
}

/** Refused with 412 where the product is no longer of this version. */
export async function changeProduct(
  id: string,
  version: number,
  data: Readonly<Record<string, unknown>>,
): Promise<Product> {
  const ask = { method: 'PUT', body: data, headers: { 'If-Match': `"${version}"` } } as const
  return toProduct((await call<Resource>(`/api/admin/products/${encodeURIComponent(id)}`, ask)).data)
}

export type Price = Schemas['PriceBody']

export async function prices(id: string, signal: AbortSignal): Promise<Price[]> {
  return (await page<Price>(`/api/admin/products/${encodeURIComponent(id)}/prices`, {}, signal)).items
}

/** With the digest of what the rows come to; the import is refused where that is no longer so. */
export type Preview = Schemas['Imported']
export type PreviewRow = Schemas['ImportedRow']

export async function previewImport(file: Blob): Promise<Preview> {
  return importFile(file, { dryRun: true })
}

export async function applyImport(file: Blob, digest: string): Promise<Preview> {
  return importFile(file, { digest })
}

async function importFile(file: Blob, query: { dryRun?: boolean; digest?: string }): Promise<Preview> {
  const ask = { method: 'POST', query, body: file, headers: { 'Content-Type': 'text/csv' } } as const
  return (await call<Preview>('/api/admin/products/import', ask)).data
}

export const REASONS = ['received', 'damaged', 'counted', 'returned', 'correction'] as const
export type Reason = (typeof REASONS)[number]

export type StockLine = Schemas['StockLevel']
export type Move = Schemas['StockMove']

export function stock(
  search: string,
  cursor: string | undefined,
  signal: AbortSignal | null,
): Promise<Page<StockLine>> {
  return page('/api/admin/stock', { search, cursor, limit: 50 }, signal)
}

export function moves(sku: string, cursor: string | undefined, signal: AbortSignal | null): Promise<Page<Move>> {
  return page(`/api/admin/stock/${encodeURIComponent(sku)}/moves`, { cursor, limit: 50 }, signal)
}

export type NewMove = { reason: Reason; note?: string } & ({ delta: number } | { counted: number; expected: number })

export async function move(sku: string, what: NewMove, key: string): Promise<Move> {
  const ask = { method: 'POST', body: what, headers: { 'Idempotency-Key': key } } as const
  return (await call<Move>(`/api/admin/stock/${encodeURIComponent(sku)}/moves`, ask)).data
}
