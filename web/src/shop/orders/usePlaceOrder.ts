/** Buying what is in the cart: once, whatever happens on the way, and for the sum that the customer was told. */
import { useEffect, useRef } from 'react'
import { useAction } from '../../shared/answers'
import { ApiError, isPassing } from '../../shared/api/errors'
import { navigate } from '../../shared/router'
import * as session from '../../shared/session'
import { alone } from '../../shared/turns'
import { toast } from '../../shared/ui/toasts'
import * as api from '../api/client'
import type { Order } from '../api/resources'
import { type CartLine, cart, content, without } from '../cart'
import { catalogueChanged, keepOrder } from '../queries'
import { dropDraft } from './draft'
import { boughtSince, dropKey, keyFor, openPurchase, refused, sent, settled } from './purchase'

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
export function usePlaceOrder(onError: (error: unknown) => void) {
  const since = useSeenSince()
  return useAction((wanted: Wanted) => placed(wanted, since.current), {
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

/** Since when, in milliseconds of the epoch, the page has shown the cart as it is: whatever was bought after that is this cart. */
function useSeenSince() {
  const since = useRef(Date.now())
  useEffect(() => {
    const see = () => {
      since.current = Date.now()
    }
    // A tab that comes back may have slept through all that became of the cart.
    const wake = () => {
      if (document.hidden) return
      cart.latest()
      see()
    }
    document.addEventListener('visibilitychange', wake)
    const end = cart.subscribe(see)
    return () => {
      document.removeEventListener('visibilitychange', wake)
      end()
    }
  }, [])
  return since
}

interface Placed {
  /** The order, if this is what has placed it. */
  order?: Order
  id: string | undefined
}

function customer(): string {
  return session.user.get()?.id ?? ''
}

function placed(wanted: Wanted, since: number): Promise<Placed> {
  const user = customer()
  return alone(TURN, () => bought(user, wanted, since))
}

/** For that customer and nobody who has logged in while this waited for its turn, or for the store. */
async function bought(user: string, wanted: Wanted, since: number): Promise<Placed> {
  const held = content(wanted.lines)
  // What another tab has written into the cart may reach this one later than its turn does.
  const done = await boughtSince(user, held, since)
  if (done !== undefined) return { id: done || undefined }
  if (content(cart.latest()) !== held) throw new CartChanged(false)
  const open = await openPurchase(user, held)
  if (open && (await hasArrived(open.key, wanted))) {
    leaveCart(JSON.parse(open.cart).map(([productId, quantity]: [string, number]) => ({ productId, quantity })))
    await dropKey()
    throw new CartChanged(true)
  }
  const key = await keyFor(user, held, since)
  if (customer() !== user) throw new CartChanged(false)
  await sent()
  try {
    const order = await api.placeOrder(asked(wanted), key)
    await leaveWith(user, order.id, wanted.lines)
    return { order, id: order.id }
  } catch (error) {
    if (isAnotherUse(error)) return await orderOf(user, wanted.lines)
    if (error instanceof ApiError && error.problem.code === 'price_changed') await dropKey()
    else if (!isPassing(error) || (error as ApiError).failure === 'busy') await refused()
    throw error
  }
}

/** The cart is left before anybody can see that it was bought: who sees it after that has seen another one. */
async function leaveWith(user: string, order: string, lines: readonly Pick<CartLine, 'productId' | 'quantity'>[]) {
  // Whoever is here now has another cart, and another purchase.
  if (customer() !== user) return
  leaveCart(lines)
  await settled(order, Date.now())
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
async function orderOf(user: string, lines: CartLine[]): Promise<Placed> {
  const { orders } = await api.orders(undefined)
  const order = orders.find(({ items }) => content(items) === content(lines))
  await leaveWith(user, order?.id ?? '', lines)
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
