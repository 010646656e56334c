/** What went wrong with an order, in the customer's words, and what they can do about it. */
import './Callout.css'
import { useState } from 'react'
import { useAction } from '../../shared/answers'
import { ApiError, explain } from '../../shared/api/errors'
import { Link, navigate } from '../../shared/router'
import { FormError } from '../../shared/ui/Field'
import { Icon } from '../../shared/ui/Icon'
import * as api from '../api/client'
import type { Order } from '../api/resources'
import { addLines, cart } from '../cart'
import { keepOrder } from '../queries'
import { NextTry } from './NextTry'
import { DEFAULT_PAYMENT, PAYMENTS } from './payment'
import { isUnanswered, reason } from './refusal'

interface Words {
  title: string
  tone: 'bad' | 'calm'
  text: string
}

interface Props {
  order: Order
  /** Looks again, when the order is not what the customer thought. */
  refresh: () => void
}

/** Why something did not work. */
interface Told {
  words: string
  /** Of the order that it is about; without, it is about how the order has changed meanwhile. */
  version: number | undefined
}

export function Callout({ order, refresh }: Props) {
  const [told, tell] = useState<Told>()
  const wrong = told && (told.version ?? order.version) === order.version ? told.words : undefined
  const words = explained(order)
  const why = reason(order)
  // Said here and not in the part that may go: what was too late has often changed what can be done.
  const actions = (
    <>
      <Actions order={order} refresh={refresh} tell={tell} />
      {wrong && <FormError>{wrong}</FormError>}
    </>
  )
  if (!words) return order.actions.length > 0 || wrong ? <div className="callout-plain">{actions}</div> : null
  return (
    <section className="callout" data-tone={words.tone} aria-labelledby="callout">
      <div aria-live="polite">
        <h2 id="callout">
          <Icon name={words.tone === 'bad' ? 'alert' : 'info'} />
          {words.title}
        </h2>
        {why && <p className="callout-reason">{why}</p>}
        <p>{words.text}</p>
        {order.attention && <p>It takes longer than it should, so a person of ours is looking into it.</p>}
      </div>
      {order.next && <NextTry wait={order.next} since={order.lastUpdate} />}
      {actions}
      {order.isFinal && <AnotherTry order={order} />}
    </section>
  )
}

/** An order that has ended stays as it is; what was wanted can be ordered anew. */
function AnotherTry({ order: { items } }: { order: Order }) {
  const putBack = () => {
    cart.update((held) => addLines(held, items))
    navigate('/cart')
  }
  return (
    <div className="actions">
      <button type="button" className="button" onClick={putBack}>
        Put it back in the cart
      </button>
      <Link to="/" className="button button-quiet">
        Find something else
      </Link>
    </div>
  )
}

function explained(order: Order): Words | undefined {
  switch (order.state) {
    case 'failed':
      return {
        title: 'Inventory Check Failed',
        tone: 'bad',
        text: 'Nothing was charged and nothing is held back. Order fewer, or choose something else.',
      }
    case 'payment_failed':
      return {
        title: 'Payment Declined',
        tone: 'bad',
        text: `${isUnanswered(order) ? 'This does not count as paid' : 'Nothing was charged'}, and your items stay set aside. We try again by ourselves a few times before we give up; you can pay another way right now.`,
      }
    case 'ship_failed':
      return {
        title: 'Shipping Failed',
        tone: 'bad',
        text: 'Your payment is safe. We keep trying until a label is made; there is nothing you have to do.',
      }
    case 'cancelled':
      return {
        title: 'Order Cancelled',
        tone: 'calm',
        text: order.history.some(({ from, to }) => from === 'ship_failed' && to === 'cancelled')
          ? 'Your items are back on the shelf, and what you have paid goes back to you.'
          : 'Nothing more will happen, and your items are back on the shelf.',
      }
    default:
      return undefined
  }
}

function Actions({ order: { id, state, version, actions }, refresh, tell }: Props & { tell: (told?: Told) => void }) {
  const [token, setToken] = useState(DEFAULT_PAYMENT)
  const answers = {
    onSuccess: (order: Order) => {
      tell()
      keepOrder(order)
    },
    onError: (error: unknown) => {
      const isLate = error instanceof ApiError && error.failure === 'conflict'
      tell({ words: explain(error), version: isLate ? undefined : version })
      if (isLate) refresh()
    },
  }
  const cancel = useAction(() => api.cancelOrder(id), answers)
  const [canCancel, canRetry] = [actions.includes('cancel'), actions.includes('retry')]
  // Before it is asked, and after it has said no, another bank can be.
  const isPayment = canRetry && ['paying', 'payment_failed'].includes(state)
  const retry = useAction(() => api.retryOrder(id, isPayment ? { token } : undefined), answers)
  const isBusy = cancel.isPending || retry.isPending
  if (!canCancel && !canRetry) return null
  return (
    <div className="actions">
      {isPayment && (
        <label className="pay-with">
          <span className="field-label">Pay with</span>
          <select className="field-control" value={token} onChange={(event) => setToken(event.target.value)}>
            {PAYMENTS.map(({ token: value, name, outcome }) => (
              <option key={value} value={value}>
                {`${name}: ${outcome.toLowerCase()}`}
              </option>
            ))}
          </select>
        </label>
      )}
      {canRetry && (
        <button type="button" className="button" disabled={isBusy} onClick={() => retry.run()}>
          {isPayment ? 'Try again' : 'Try now'}
        </button>
      )}
      {canCancel && (
        <button type="button" className="button button-quiet" disabled={isBusy} onClick={() => cancel.run()}>
          Cancel order
        </button>
      )}
    </div>
  )
}
