/** The customer's orders, newest first. */
import './OrdersPage.css'
import { useAnswer } from '../../shared/answers'
import { dateTime, money, orderNumber } from '../../shared/format'
import { Link } from '../../shared/router'
import { Icon } from '../../shared/ui/Icon'
import { More } from '../../shared/ui/More'
import { Heading, Skeleton } from '../../shared/ui/Page'
import * as api from '../api/client'
import type { Order } from '../api/resources'
import { StatusBadge } from '../orders/StatusBadge'
import { stages } from '../orders/stages'
import { useOlderOrders } from '../queries'
import { Trouble } from '../ui/Trouble'

/** Between two looks while an order is on its way. */
const LOOK_MS = 3_000

export default function OrdersPage() {
  const {
    data: newest,
    error,
    refresh,
  } = useAnswer('orders', (signal) => api.orders(undefined, signal), {
    every: (page) => (page?.orders.some((order) => !order.isFinal) ? LOOK_MS : undefined),
  })
  const older = useOlderOrders(newest)
  if (error && !newest) return <Trouble error={error} retry={refresh} what="list of orders" />
  const orders = newest && unique([...newest.orders, ...older.orders])
  return (
    <div className="page">
      <Heading>Your Orders</Heading>
      {orders?.length === 0 && <NoOrders />}
      <ul className="order-list">
        {orders ? orders.map((order) => <OrderCard key={order.id} order={order} />) : <CardSkeletons />}
      </ul>
      {older.cursor && <More action={older.more}>Show older ones</More>}
    </div>
  )
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
