/**
 * One key for one purchase: however often the same cart is sent, from whatever tab, and whatever became of the answers, it is bought
 * once. The key belongs to what is in the cart and to the customer, and is shared by all tabs.
 *
 * It is kept in IndexedDB. Local storage is not: what one tab writes there reaches another a moment later, even when that one has
 * waited for a lock, and in that moment both would have a key of their own.
 */
import { createStore, get, update } from 'idb-keyval'

interface Purchase {
  /** The id of the customer. */
  user: string
  /** What is bought, as `content` of cart.ts writes it. */
  cart: string
  key: string
  /** It was sent, and nothing is known of what became of it. */
  isOpen: boolean
  /** The order that came of it, once that is known, and since when, in milliseconds of the epoch. */
  order?: { id: string; at: number }
}

const DATABASE = createStore('millrace', 'shop')
const NAME = 'purchase'

/** As this page has left it. */
let own: Purchase | undefined
/** Whether that is kept. A browser may forbid it; then it lives as long as the page. */
let isKept = true

function known(value: unknown): Purchase | undefined {
  return isPurchase(value) ? value : undefined
}

function isPurchase(value: unknown): value is Purchase {
  const { user, cart, key, isOpen, order } = (value ?? {}) as Record<keyof Purchase, unknown>
  const { id, at } = (order ?? { id: '', at: 0 }) as Record<string, unknown>
  const areTexts = [user, cart, key, id].every((member) => typeof member === 'string')
  return areTexts && typeof isOpen === 'boolean' && typeof at === 'number'
}

/** As it is at this moment, whichever tab has written it. */
async function latest(): Promise<Purchase | undefined> {
  if (!isKept) return own
  try {
    return known(await get(NAME, DATABASE))
  } catch {
    return own
  }
}

/** Reads and writes in one go: no other tab comes in between, with or without a lock. */
async function change(to: (found: Purchase | undefined) => Purchase | undefined): Promise<Purchase | undefined> {
  let next: Purchase | undefined
  try {
    await update<unknown>(NAME, (found) => (next = to(isKept ? known(found) : own)), DATABASE)
    isKept = true
  } catch {
    next = to(own)
    isKept = false
  }
  own = next
  return next
}

/**
 * The key of this purchase: what a customer buys who has seen this cart since then. What was bought before that is another purchase,
 * even of the same; what was bought after that, by another tab, is this one.
 */
export async function keyFor(user: string, cart: string, since: number): Promise<string> {
  const isIt = (found: Purchase) =>
    found.user === user && found.cart === cart && !(found.order && found.order.at < since)
  const kept = await change((found) => (found && isIt(found) ? found : { user, cart, key: randomKey(), isOpen: false }))
  return kept?.key ?? randomKey()
}

/** This customer's purchase of another cart, of which nobody knows whether it has become an order. */
export async function openPurchase(user: string, cart: string): Promise<Purchase | undefined> {
  const found = await latest()
  return found?.isOpen && found.user === user && found.cart !== cart ? found : undefined
}

/** The order that another tab has made of this cart since then; its id is empty where only that is known. */
export async function boughtSince(user: string, cart: string, since: number): Promise<string | undefined> {
  const found = await latest()
  const isThis = found?.user === user && found.cart === cart
  return isThis && found.order && found.order.at >= since ? found.order.id : undefined
}

/** It is on its way to the store. */
export async function sent() {
  await change((purchase) => purchase && { ...purchase, isOpen: true })
}

/** The store has answered that it took nothing. */
export async function refused() {
  await change((purchase) => purchase && { ...purchase, isOpen: false })
}

/** The purchase has become this order: the next one is another, even if it looks the same. */
export async function settled(order: string, now: number) {
  await change((purchase) => purchase && { ...purchase, isOpen: false, order: { id: order, at: now } })
}

/** The next purchase is another one, whatever it is of. */
export async function dropKey() {
  await change(() => undefined)
}

/** `crypto.randomUUID` exists only on secure origins, and a store in a local network is none. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
