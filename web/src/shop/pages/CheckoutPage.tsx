/** Where to, how paid, what it costs: then it is bought. */
import { Lines } from '../orders/Lines'
import '../styles/columns.css'
import '../styles/checkout.css'
import { useEffect, useRef, useState } from 'react'
import { useAction } from '../answers'
import * as api from '../api/client'
import { ApiError, explain, isPassing } from '../api/errors'
import { type CartLine, cart, refreshed, total, useCart } from '../cart'
import { money } from '../format'
import { type Draft, draft, dropDraft, keepDraft } from '../orders/draft'
import { PaymentChoice } from '../orders/PaymentChoice'
import { DEFAULT_PAYMENT, TEST_ZIPS } from '../orders/payment'
import { keyFor, settled } from '../orders/purchase'
import { keepOrder, stockChanged, useProducts } from '../queries'
import { navigate } from '../router'
import { Field, focusFirstError } from '../ui/Field'
import { Heading } from '../ui/Page'
import { toast } from '../ui/toasts'
import { EmptyCart } from './CartPage'

export default function CheckoutPage() {
  const held = useCart()
  const products = useProducts(held.map(({ productId }) => productId))
  const lines = refreshed(held, products)
  const { place, form, complaints } = usePlaceOrder()
  const [kept] = useState(draft)
  useEffect(fetchWhatComesNext, [])
  if (lines.length === 0) return <EmptyCart />

  const submit = (data: FormData) => {
    const text = (name: string) => String(data.get(name)).trim()
    place.run({
      items: lines.map(({ productId, quantity }) => ({ productId, quantity })),
      shipping: { address: text('address'), city: text('city'), state: text('state'), zip: text('zip') },
      payment: { token: text('payment') || DEFAULT_PAYMENT },
    })
  }
  return (
    <div className="page">
      <Heading>Checkout</Heading>
      <form
        ref={form}
        className="columns"
        onChange={(event) => keepDraft(event.currentTarget)}
        onSubmit={(event) => {
          event.preventDefault()
          submit(new FormData(event.currentTarget))
        }}
      >
        <div className="checkout-parts">
          <AddressFields complaints={complaints} kept={kept} />
          <section className="panel" aria-labelledby="how-to-pay">
            <h2 id="how-to-pay">Payment</h2>
            <p className="panel-lead">This is a test store. Choose how the bank should behave; no money moves.</p>
            <PaymentChoice name="payment" chosen={kept.payment} />
          </section>
        </div>
        <Summary lines={lines} isPlacing={place.isPending} error={place.error} />
      </form>
    </div>
  )
}

/** The page of the order has to be there even when the network is gone the moment after the order is taken. */
function fetchWhatComesNext() {
  import('./OrderPage').catch(() => {})
}

function usePlaceOrder() {
  const form = useRef<HTMLFormElement>(null)
  const place = useAction((purchase: api.Purchase) => api.placeOrder(purchase, keyFor(purchase)), {
    onSuccess: (order) => {
      settled()
      dropDraft()
      keepOrder(order)
      stockChanged()
      toast('success', 'Order placed successfully!')
      navigate(`/orders/${encodeURIComponent(order.id)}`)
      cart.set([])
    },
    onError: (error) => {
      if (error instanceof ApiError && error.failure === 'invalid') settled()
      toast('error', words(error))
      focusFirstError(form.current)
    },
  })
  return { place, form, complaints: complaints(place.error, form.current) }
}

function words(error: unknown): string {
  const isMarked = error instanceof ApiError && Object.keys(error.fields).some((each) => each.startsWith('shipping.'))
  if (isMarked) return 'Please correct what is marked.'
  const isSafe = isPassing(error) ? ' Nothing was bought twice: the same order can be sent again.' : ''
  return `${explain(error)}${isSafe}`
}

/** By the name of the field, in the words of the store, which knows the rules. */
function complaints(error: unknown, form: HTMLFormElement | null): Readonly<Record<string, string>> {
  if (!(error instanceof ApiError) || !form) return {}
  const given = new FormData(form)
  return Object.fromEntries(
    Object.entries(error.fields).map(([field, detail]) => {
      const name = field.replace('shipping.', '')
      return [name, String(given.get(name) ?? '').trim() ? detail : 'Please fill this in.']
    }),
  )
}

function AddressFields({ complaints, kept }: { complaints: Readonly<Record<string, string>>; kept: Draft }) {
  return (
    <section className="panel" aria-labelledby="where-to">
      <h2 id="where-to">Where to</h2>
      <div className="address">
        <Field
          label="Street Address"
          name="address"
          autoComplete="street-address"
          required
          defaultValue={kept.address}
          error={complaints.address}
        />
        <Field
          label="City"
          name="city"
          autoComplete="address-level2"
          required
          defaultValue={kept.city}
          error={complaints.city}
        />
        <Field
          label="State"
          name="state"
          autoComplete="address-level1"
          required
          defaultValue={kept.state}
          error={complaints.state}
        />
        <Field
          label="ZIP Code"
          name="zip"
          autoComplete="postal-code"
          inputMode="numeric"
          required
          defaultValue={kept.zip}
          error={complaints.zip}
        />
      </div>
      <details className="hints">
        <summary>Codes that make the carrier fail</summary>
        <ul>
          {TEST_ZIPS.map(({ zip, outcome }) => (
            <li key={zip}>
              <code>{zip}</code> {outcome}
            </li>
          ))}
        </ul>
      </details>
    </section>
  )
}

function Summary({ lines, isPlacing, error }: { lines: CartLine[]; isPlacing: boolean; error: unknown }) {
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
          <dd className="checkout-total">{money(total(lines))}</dd>
        </div>
      </dl>
      <button type="submit" className="button button-wide" disabled={isPlacing}>
        {isPlacing ? 'Placing your order…' : 'Place Order'}
      </button>
      {error !== undefined && <p className="field-error">{words(error)}</p>}
      <p className="summary-note">The store sets the prices when it takes the order.</p>
    </section>
  )
}
