/** Where to, how paid, what it costs: then it is bought. */
import '../ui/columns.css'
import './CheckoutPage.css'
import { useEffect, useRef, useState } from 'react'
import { ApiError, explain, isPassing } from '../../shared/api/errors'
import { money } from '../../shared/format'
import * as session from '../../shared/session'
import { FormError, useFocusOnError } from '../../shared/ui/Field'
import { Heading } from '../../shared/ui/Page'
import { type Offer, toOffer } from '../api/resources'
import { type CartLine, content, refreshed, total, useCart } from '../cart'
import { AddressFields, addressComplaints } from '../orders/AddressFields'
import { draft, keepDraft } from '../orders/draft'
import { Lines } from '../orders/Lines'
import { PaymentChoice } from '../orders/PaymentChoice'
import { PriceChange } from '../orders/PriceChange'
import { DEFAULT_PAYMENT } from '../orders/payment'
import { CartChanged, usePlaceOrder } from '../orders/usePlaceOrder'
import { catalogueChanged, useProducts } from '../queries'
import { EmptyCart } from './CartPage'

/** Describes the button. */
const ERROR = 'checkout-error'

export default function CheckoutPage() {
  const user = session.useUser()?.id ?? ''
  const [kept] = useState(() => draft(user))
  const { lines, before, place, form } = useCheckout()
  useEffect(fetchWhatComesNext, [])
  if (lines.length === 0) return <EmptyCart />

  const submit = (data: FormData) => {
    const text = (name: string) => String(data.get(name)).trim()
    place.run({
      lines,
      shipping: { address: text('address'), city: text('city'), state: text('state'), zip: text('zip') },
      payment: { token: text('payment') || DEFAULT_PAYMENT },
      // A line that some other page has left here without a price is priced by the store alone.
      expectedTotal: lines.every(({ price }) => price > 0) ? total(lines) : undefined,
    })
  }
  return (
    <div className="page">
      <Heading>Checkout</Heading>
      <form
        ref={form}
        className="columns"
        onChange={(event) => user && keepDraft(user, event.currentTarget)}
        onSubmit={(event) => {
          event.preventDefault()
          submit(new FormData(event.currentTarget))
        }}
      >
        <div className="checkout-parts">
          <AddressFields complaints={complaints(place.error, form.current)} kept={kept} />
          <section className="panel" aria-labelledby="how-to-pay">
            <h2 id="how-to-pay">Payment</h2>
            <p className="panel-lead">This is a test store. Choose how the bank should behave; no money moves.</p>
            <PaymentChoice name="payment" chosen={kept.payment} />
          </section>
        </div>
        <Summary
          lines={lines}
          before={before}
          isPlacing={place.isPending}
          wrong={place.error === undefined ? undefined : words(place.error, lines)}
        />
      </form>
    </div>
  )
}

/** The page of the order has to be there even when the network is gone the moment after the order is taken. */
function fetchWhatComesNext() {
  import('./OrderPage').catch(() => {})
}

/** What is offered to be bought, and what was offered before the store said that prices have changed. */
function useCheckout() {
  const form = useRef<HTMLFormElement>(null)
  const held = useCart()
  const products = useProducts(held.map(({ productId }) => productId))
  const [answer, setAnswer] = useState<{ offer: Offer; before: CartLine[] }>()
  const isOffered = answer && content(answer.before) === content(held)
  const listed = refreshed(held, products)
  const offered = isOffered ? atPricesOf(answer.offer, listed) : listed
  const place = usePlaceOrder((error) => {
    const offer = error instanceof ApiError ? toOffer(error.problem) : undefined
    setAnswer(offer && { offer, before: offered })
    if (offer) catalogueChanged()
  })
  useFocusOnError(form, place.error)
  // What is being bought has left the cart a moment before the page is left.
  const shown = useRef(offered)
  if (!place.isPending) shown.current = offered
  return { lines: shown.current, before: isOffered ? answer.before : undefined, place, form }
}

function atPricesOf({ lines }: Offer, held: CartLine[]): CartLine[] {
  return held.map((line) => ({
    ...line,
    price: lines.find((each) => each.productId === line.productId)?.price ?? line.price,
  }))
}

function words(error: unknown, lines: CartLine[]): string {
  if (error instanceof CartChanged) {
    return error.isBought
      ? 'Your order from before has reached us after all; it is among your orders. What came into the cart since then is here. Look at it and place the order again.'
      : 'The cart was changed in another tab. Look at it and place the order again.'
  }
  const wrong = error instanceof ApiError ? Object.keys(error.fields) : []
  if (wrong.some((each) => each.startsWith('shipping.'))) return 'Please correct what is marked.'
  const gone = wrong.map((each) => lines[Number(each.match(/^items\.(\d+)\.productId$/)?.[1])]).find(Boolean)
  if (gone) return `${gone.name} is no longer sold. Remove it from the cart to go on.`
  const isSafe = isPassing(error) ? ' Nothing was bought twice: the same order can be sent again.' : ''
  return `${explain(error)}${isSafe}`
}

/** By the name of the field, in the words of the store, which knows the rules. */
function complaints(error: unknown, form: HTMLFormElement | null): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError) || !form) return {}
  const ours = Object.entries(error.fields).filter(([pointer]) => pointer.startsWith('shipping.'))
  const details = Object.fromEntries(ours.map(([pointer, detail]) => [pointer.replace('shipping.', ''), detail]))
  return addressComplaints(details, new FormData(form))
}

interface SummaryProps {
  lines: CartLine[]
  /** The lines as they were offered before, where that has changed. */
  before: CartLine[] | undefined
  isPlacing: boolean
  /** Why it could not be bought. */
  wrong: string | undefined
}

function Summary({ lines, before, isPlacing, wrong }: SummaryProps) {
  const sum = total(lines)
  return (
    <section className="summary" aria-labelledby="checkout-summary">
      <h2 id="checkout-summary">What you buy</h2>
      <Lines lines={lines} />
      <dl className="sums">
        <div>
          <dt>Delivery</dt>
          <dd>Free</dd>
        </div>
        <div className="sums-total">
          <dt>Total</dt>
          <dd className="checkout-total">{money(sum)}</dd>
        </div>
      </dl>
      {before ? (
        <PriceChange id={ERROR} before={before} now={lines} was={total(before)} is={sum} />
      ) : (
        wrong && <FormError id={ERROR}>{wrong}</FormError>
      )}
      <button
        type="submit"
        className="button button-wide"
        disabled={isPlacing}
        aria-describedby={before || wrong ? ERROR : undefined}
      >
        {isPlacing ? 'Placing your order…' : before ? `Place Order for ${money(sum)}` : 'Place Order'}
      </button>
      <p className="summary-note">You pay this sum, or you are asked again.</p>
    </section>
  )
}
