/**
 * One key for one purchase: however often the same cart is sent, from whatever tab, and whatever became of the answers, it is bought
 * once. The key belongs to what is in the cart and to the customer, and is shared by all tabs.
 */
import { json, stored } from '../storage'

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

const kept = stored(
  'purchase',
  json<Purchase | null>(null, (value) => (isPurchase(value) ? value : undefined)),
)

function isPurchase(value: unknown): value is Purchase {
  const { user, cart, key, isOpen, order } = (value ?? {}) as Record<keyof Purchase, unknown>
  const { id, at } = (order ?? { id: '', at: 0 }) as Record<string, unknown>
  const areTexts = [user, cart, key, id].every((member) => typeof member === 'string')
  return areTexts && typeof isOpen === 'boolean' && typeof at === 'number'
}

/**
 * The key of this customer's purchase of this cart, who clicked at `since`. What was bought before that is another purchase, even of
 * the same; what was bought after that, by another tab, is this one.
 */
export function keyFor(user: string, cart: string, since: number): string {
  const found = kept.latest()
  if (found?.user === user && found.cart === cart && !(found.order && found.order.at < since)) return found.key
  const key = randomKey()
  kept.set({ user, cart, key, isOpen: false })
  return key
}

/** This customer's purchase of another cart, of which nobody knows whether it has become an order. */
export function openPurchase(user: string, cart: string): Purchase | undefined {
  const found = kept.latest()
  return found?.isOpen && found.user === user && found.cart !== cart ? found : undefined
}

/** The order that another tab has made of this cart since then. */
export function boughtSince(user: string, cart: string, since: number): string | undefined {
  const found = kept.latest()
  const isThis = found?.user === user && found.cart === cart
  return isThis && found.order && found.order.at >= since ? found.order.id : undefined
}

/** It is on its way to the store. */
export function sent() {
  kept.update((purchase) => purchase && { ...purchase, isOpen: true })
}

/** The store has answered that it took nothing. */
export function refused() {
  kept.update((purchase) => purchase && { ...purchase, isOpen: false })
}

/** The purchase has become this order: the next one is another, even if it looks the same. */
export function settled(order: string, now: number) {
  kept.update((purchase) => purchase && { ...purchase, isOpen: false, order: { id: order, at: now } })
}

/** The next purchase is another one, whatever it is of. */
export function dropKey() {
  kept.set(null)
}

/** `crypto.randomUUID` exists only on secure origins, and a store in a local network is none. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
