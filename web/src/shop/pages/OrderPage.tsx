/** One order, live. */
import '../ui/columns.css'
import './OrderPage.css'

import { date, dateTime, duration, money, orderNumber } from '../../shared/format'
import { Link } from '../../shared/router'
import { Icon } from '../../shared/ui/Icon'
import { Heading, Skeleton } from '../../shared/ui/Page'
import type { Order } from '../api/resources'
import { Callout } from '../orders/Callout'
import { History } from '../orders/History'
import { Lines } from '../orders/Lines'
import { LinkState } from '../orders/LinkState'
import { Pipeline } from '../orders/Pipeline'
import { Refunds } from '../orders/Refunds'
import { StatusBadge } from '../orders/StatusBadge'
import { useOrder } from '../orders/useOrder'
import { Trouble } from '../ui/Trouble'

export default function OrderPage({ id }: { id: string }) {
  const { answer, link } = useOrder(id)
  const { data: order, error, at, refresh } = answer
  if (error && !order) return <Trouble error={error} retry={refresh} what="order" />
  if (!order) return <OrderSkeleton />
  return (
    <div className="page">
      <Link to="/orders" className="back-link">
        <Icon name="back" />
        All your orders
      </Link>
      <div className="order-head">
        <Heading title={`Order ${orderNumber(id)}`}>Order #{orderNumber(id)}</Heading>
        <StatusBadge state={order.state} isLive />
        <p className="order-head-time">
          {dateTime(order.createdAt)}
          {order.state === 'delivered' && ` · all eight stages in ${duration(lasted(order))}`}
        </p>
        {!order.isFinal && <LinkState link={link} seenAt={at} />}
      </div>
      <Callout order={order} refresh={refresh} />
      <div className="columns columns-order">
        <section className="panel" aria-labelledby="pipeline">
          <h2 id="pipeline">Processing Pipeline</h2>
          <Pipeline order={order} />
          <History order={order} />
        </section>
        <div className="order-side">
          <Details order={order} />
          <Bought order={order} />
        </div>
      </div>
    </div>
  )
}

/** Milliseconds from the order to its last transition. */
function lasted({ createdAt, lastUpdate, history }: Order): number {
  return Date.parse(history.at(-1)?.at ?? lastUpdate) - Date.parse(createdAt)
}

function Details({ order }: { order: Order }) {
  const { transactionId, last4, trackingNumber, carrier, estimatedDelivery } = order.results
  const rows: [string, string | undefined][] = [
    ['Transaction ID', transactionId],
    ['Card', last4 && `**** ${last4}`],
    ['Tracking Number', trackingNumber],
    ['Carrier', carrier],
    ['Est. Delivery', estimatedDelivery && date(estimatedDelivery)],
  ]
  return (
    <section className="panel" aria-labelledby="details">
      <h2 id="details">Processing Details</h2>
      <dl className="details">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value ?? <span className="pending">{order.isFinal ? 'None' : 'Not yet'}</span>}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function Bought({ order }: { order: Order }) {
  const { items, total, shipping } = order
  return (
    <section className="panel" aria-labelledby="bought">
      <h2 id="bought">What you bought</h2>
      <Lines lines={items} />
      <dl className="sums">
        <div className="sums-total">
          <dt>Total</dt>
          <dd className="order-total">{money(total)}</dd>
        </div>
      </dl>
      <Refunds order={order} />
      <address className="order-address">
        {shipping.address}
        <br />
        {shipping.city}, {shipping.state} {shipping.zip}
      </address>
    </section>
  )
}

function OrderSkeleton() {
  return (
    <div className="page">
      <Skeleton className="skeleton-heading" label="Loading the order" />
      <div className="columns columns-order">
        <Skeleton className="skeleton-block skeleton-tall" />
        <Skeleton className="skeleton-block" />
      </div>
    </div>
  )
}
