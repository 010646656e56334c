/** Buying what is in the cart: once, whatever happens on the way, and for the sum that the customer was told. */
import { useEffect } from 'react'
import { useAction } from '../answers'
import * as api from '../api/client'
import { ApiError, isPassing } from '../api/errors'
import type { Order } from '../api/resources'
import { type CartLine, cart, content, without } from '../cart'
import { catalogueChanged, keepOrder } from '../queries'
import { navigate } from '../router'
import * as session from '../session'
import { toast } from '../ui/toasts'
import { dropDraft } from './draft'
import { boughtSince, dropKey, keyFor, openPurchase, refused, sent, settled } from './purchase'
import { alone } from './turns'

/** What the customer sees and agrees to. */
export interface Wanted {
  lines: CartLine[]
  shipping: api.Purchase['shipping']
  payment: api.Purchase['payment']
  /** In dollars, or nothing while prices are not known. */
  expectedTotal: number | undefined
}

/** The cart is no longer what the customer has seen. */
export class CartChanged extends Error {
  /** Whether that is because an order whose answer was lost has arrived after all. */
  readonly isBought: boolean

  constructor(isBought: boolean) {
    super('the cart has changed')
    this.isBought = isBought
  }
}

/** One tab at a time, so that the second one sees what the first one has done. */
const TURN = 'purchase'

/** `onError` gets an ApiError or a CartChanged. */
export function usePlaceOrder(lines: CartLine[], onError: (error: unknown) => void) {
  const user = customer()
  const wanted = content(lines)
  // All tabs have the key before any of them is asked to buy.
  useEffect(() => {
    const since = Date.now()
    if (wanted !== '[]') void alone(TURN, async () => openPurchase(user, wanted) ?? keyFor(user, wanted, since))
  }, [user, wanted])
  return useAction(placed, {
    onSuccess: ({ order, id }) => {
      dropDraft()
      if (order) keepOrder(order)
      catalogueChanged()
      toast('success', order ? 'Order placed successfully!' : 'You have bought this already')
      navigate(id ? `/orders/${encodeURIComponent(id)}` : '/orders')
    },
    onError,
  })
}

interface Placed {
  /** The order, if this is what has placed it. */
  order?: Order
  id: string | undefined
}

function customer(): string {
  return session.user.get()?.id ?? ''
}

function placed(wanted: Wanted): Promise<Placed> {
  const since = Date.now()
  return alone(TURN, () => bought(wanted, since))
}

async function bought(wanted: Wanted, since: number): Promise<Placed> {
  const [user, held] = [customer(), content(wanted.lines)]
  if (content(cart.latest()) !== held) {
    const id = boughtSince(user, held, since)
    if (!id) throw new CartChanged(false)
    return { id }
  }
  const open = openPurchase(user, held)
  if (open && (await hasArrived(open.key, wanted))) {
    leaveCart(JSON.parse(open.cart).map(([productId, quantity]: [string, number]) => ({ productId, quantity })))
    dropKey()
    throw new CartChanged(true)
  }
  const key = keyFor(user, held, since)
  sent()
  try {
    const order = await api.placeOrder(asked(wanted), key)
    leaveCart(wanted.lines)
    settled(order.id, Date.now())
    return { order, id: order.id }
  } catch (error) {
    if (isAnotherUse(error)) return await orderOf(wanted.lines)
    if (error instanceof ApiError && error.problem.code === 'price_changed') dropKey()
    else if (!isPassing(error) || (error as ApiError).failure === 'busy') refused()
    throw error
  }
}

function asked({ lines, shipping, payment, expectedTotal }: Wanted): api.Purchase {
  const items = lines.map(({ productId, quantity }) => ({ productId, quantity }))
  return { items, shipping, payment, ...(expectedTotal !== undefined && { expectedTotal }) }
}

/** What was bought leaves the cart; what came into it meanwhile stays. */
function leaveCart(lines: readonly Pick<CartLine, 'productId' | 'quantity'>[]) {
  cart.update((held) => without(held, lines))
}

/** A key is refused for another request when there is an order under it: with another address, or another sum. */
function isAnotherUse(error: unknown): boolean {
  return error instanceof ApiError && 'Idempotency-Key' in error.fields
}

/** The order that an earlier try has made of these lines, under other words. */
async function orderOf(lines: CartLine[]): Promise<Placed> {
  leaveCart(lines)
  const { orders } = await api.orders(undefined)
  const order = orders.find(({ items }) => content(items) === content(lines))
  settled(order?.id ?? '', Date.now())
  return { id: order?.id }
}

/** Asks about a key with something that cannot be bought: the key is looked at first, and nothing is placed by asking. */
async function hasArrived(key: string, wanted: Wanted): Promise<boolean> {
  try {
    await api.placeOrder(asked({ ...wanted, lines: [] }), key)
  } catch (error) {
    if (isAnotherUse(error)) return true
    if (isPassing(error)) throw error
  }
  return false
}
