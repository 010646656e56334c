/** The customer's orders, newest first. */
import '../styles/orders.css'

import { useState } from 'react'
import { useAction, useAnswer } from '../answers'
import * as api from '../api/client'
import { explain } from '../api/errors'
import type { Order } from '../api/resources'
import { dateTime, money, orderNumber } from '../format'
import { StatusBadge } from '../orders/StatusBadge'
import { isFinal, stages } from '../orders/stages'
import { Link } from '../router'
import { Icon } from '../ui/Icon'
import { Heading, Skeleton, Trouble } from '../ui/Page'
import { toast } from '../ui/toasts'

/** Between two looks while an order is on its way. */
const LOOK_MS = 3_000

export default function OrdersPage() {
  const {
    data: newest,
    error,
    refresh,
  } = useAnswer('orders', (signal) => api.orders(undefined, signal), {
    every: (page) => (page?.orders.some((order) => !isFinal(order.state)) ? LOOK_MS : undefined),
  })
  const older = useOlder(newest)
  if (error && !newest) return <Trouble error={error} retry={refresh} what="list of orders" />
  const orders = newest && unique([...newest.orders, ...older.orders])
  return (
    <div className="page">
      <Heading>Your Orders</Heading>
      {orders?.length === 0 && <NoOrders />}
      <ul className="order-list">
        {orders ? orders.map((order) => <OrderCard key={order.id} order={order} />) : <CardSkeletons />}
      </ul>
      {older.cursor && (
        <button type="button" className="button button-quiet" disabled={older.isPending} onClick={older.more}>
          {older.isPending ? 'One moment…' : 'Show older ones'}
        </button>
      )}
    </div>
  )
}

/** The pages after the newest one, as far as they were asked for. */
function useOlder(newest: api.OrderPage | undefined) {
  const [pages, setPages] = useState<api.OrderPage[]>([])
  const cursor = (pages.at(-1) ?? newest)?.cursor
  const { run, isPending } = useAction(() => api.orders(cursor), {
    onSuccess: (page) => setPages([...pages, page]),
    onError: (problem) => toast('error', explain(problem)),
  })
  return { orders: pages.flatMap((page) => page.orders), cursor, isPending, more: run }
}

/** A new order pushes the last of one page to the next. */
function unique(orders: Order[]): Order[] {
  return [...new Map(orders.map((order) => [order.id, order])).values()]
}

function OrderCard({ order }: { order: Order }) {
  const { id, state, createdAt, items, total } = order
  const [first, ...others] = items
  return (
    <li className="order-card">
      <div>
        <h2 className="order-card-name">
          <Link to={`/orders/${encodeURIComponent(id)}`}>Order #{orderNumber(id)}</Link>
        </h2>
        <p className="order-card-items">
          {first ? `${first.name} x${first.quantity}` : 'No items'}
          {others.length > 0 && ` and ${others.length} more`}
        </p>
      </div>
      <p className="order-card-time">{dateTime(createdAt)}</p>
      <p className="order-card-total">{money(total)}</p>
      <StatusBadge state={state} />
      <Progress order={order} />
    </li>
  )
}

/** The eight stages as a line; the badge says the same in words. */
function Progress({ order }: { order: Order }) {
  return (
    <span className="progress" aria-hidden="true">
      {stages(order).map(({ state, status }) => (
        <span key={state} data-status={status} />
      ))}
    </span>
  )
}

function NoOrders() {
  return (
    <section className="notice">
      <span className="notice-art" aria-hidden="true">
        <Icon name="box" />
      </span>
      <p>You have not bought anything yet.</p>
      <Link to="/" className="button">
        Browse Products
      </Link>
    </section>
  )
}

function CardSkeletons() {
  return ['a', 'b', 'c'].map((key, index) => (
    <li key={key}>
      <Skeleton className="skeleton-row" {...(index === 0 && { label: 'Loading your orders' })} />
    </li>
  ))
}
