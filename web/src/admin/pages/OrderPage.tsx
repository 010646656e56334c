/** One order as those who work here see it: what it is, what became of it, and what can be done. */
import './OrderPage.css'
import { useState } from 'react'
import { outdate, useAnswer } from '../../shared/answers'
import { Badge, StateBadge } from '../../shared/desk/ui/Badge'
import { Facts, Panel } from '../../shared/desk/ui/Panel'
import { ReasonDialog } from '../../shared/desk/ui/ReasonDialog'
import { type Column, Table } from '../../shared/desk/ui/Table'
import { Trouble } from '../../shared/desk/ui/Trouble'
import { dateTime, exactMoment, money, orderNumber, stateName } from '../../shared/format'
import { Link, withQuery } from '../../shared/router'
import { BackLink } from '../../shared/ui/BackLink'
import { Heading, Skeleton } from '../../shared/ui/Page'
import { toast } from '../../shared/ui/toasts'
import * as api from '../api/orders'
import { refundsKeyOf } from '../refunds'
import { Customer } from '../ui/Actor'
import { Notes } from '../ui/Notes'
import { Refunds } from '../ui/Refunds'

/** Between two looks while something may happen by itself. */
const LOOK_MS = 3_000

function keyOf(id: string) {
  return `admin/order/${id}`
}

export default function OrderPage({ id }: { id: string }) {
  const { data, error, refresh } = useAnswer<api.Order>(keyOf(id), (signal) => api.order(id, signal), {
    every: (order) => (order && !order.isFinal ? LOOK_MS : undefined),
  })
  if (error !== undefined && !data)
    return <Trouble error={error} retry={refresh} what="order" back={{ to: '/orders', name: 'See all orders' }} />
  return (
    <div className="page">
      <BackLink to="/orders">Orders</BackLink>
      {data ? <Shown order={data} /> : <Skeleton className="skeleton-block" label="Loading the order" />}
    </div>
  )
}

function Shown({ order }: { order: api.Order }) {
  const { id, state, attention, next, shipping, results, createdAt, lastUpdate, userId, email } = order
  return (
    <>
      <div className="order-title">
        <Heading title={`Order #${orderNumber(id)}`}>Order #{orderNumber(id)}</Heading>
        <span role="status">
          <StateBadge state={state} />
        </span>
        {attention && <Badge mood="warn">needs a person</Badge>}
      </div>
      {attention && <p className="order-attention">{attention}</p>}
      {next && <p className="order-next">{nextWords(next)}</p>}
      <Actions order={order} />
      <div className="split">
        <div className="stack">
          <Panel title="What was ordered">
            <Table
              label="Lines"
              columns={LINES}
              rows={order.lines}
              keyOf={({ productId }) => productId}
              empty="No items"
            />
            <p className="order-total">
              Total <b>{money(order.total)}</b>
            </p>
          </Panel>
          <Refunds order={order} />
          <History order={order} />
        </div>
        <div className="stack">
          <Panel title="About it">
            <Facts
              facts={[
                ['Id', <code key="id">{id}</code>],
                ['Placed', dateTime(createdAt)],
                ['Changed', dateTime(lastUpdate)],
                ['Customer', <Customer key="who" id={userId} email={email} />],
                ['Goes to', shipping && `${shipping.address}, ${shipping.city}, ${shipping.state} ${shipping.zip}`],
              ]}
            />
          </Panel>
          {Object.keys(results).length > 0 && (
            <Panel title="What the steps have said">
              <Facts
                facts={Object.entries(results).map(
                  ([name, value]) => [sentence(stateName(name)), written(value)] as const,
                )}
              />
            </Panel>
          )}
          <Notes id={id} />
        </div>
      </div>
    </>
  )
}

/** A moment as a person writes it; anything else as it is. */
function written(value: string): string {
  return /^\d{4}-\d\d-\d\dT/.test(value) ? dateTime(value) : value
}

const LINES: readonly Column<api.Line>[] = [
  {
    name: 'Product',
    width: '3fr',
    cell: ({ productId, name }) => <Link to={withQuery('/orders', { product: productId })}>{name}</Link>,
  },
  { name: 'Each', width: '6rem', isNumber: true, cell: ({ price }) => money(price) },
  { name: 'Units', width: '4rem', isNumber: true, cell: ({ quantity }) => quantity },
  { name: 'Sum', width: '7rem', isNumber: true, cell: ({ price, quantity }) => money(price * quantity) },
]

function nextWords(next: NonNullable<api.Order['next']>): string {
  const many = next.of ? ` of ${next.of}` : ''
  return `By itself: ${stateName(next.transition)} at ${exactMoment(next.at)}, try ${next.attempt}${many}.`
}

/** What the order may be asked to do, in the words of those who ask. */
const WORDS: Readonly<Record<string, { name: string; text: string }>> = {
  cancel: { name: 'Cancel order', text: 'The order ends, and its goods are back on the shelf.' },
  retry: { name: 'Try again now', text: 'What has failed is tried once more at once.' },
  abandon_shipping: {
    name: 'Give up shipping',
    text: 'The order is cancelled, and all of its money goes back to the customer.',
  },
  hold: { name: 'Hold', text: 'Nothing happens by itself until it is released.' },
  release: { name: 'Release', text: 'It goes on from where it was held.' },
}

function Actions({ order: { id, actions } }: { order: api.Order }) {
  const [asked, ask] = useState<string>()
  if (actions.length === 0) return null
  const words = (action: string) => WORDS[action] ?? { name: sentence(stateName(action)), text: '' }
  return (
    <div className="actions order-actions">
      {actions.map((action) => (
        <button key={action} type="button" className="button button-quiet" onClick={() => ask(action)}>
          {words(action).name}
        </button>
      ))}
      {asked && (
        <ReasonDialog
          title={words(asked).name}
          action={words(asked).name}
          perform={(reason) => api.act(id, asked, reason)}
          onDone={() => {
            ask(undefined)
            outdate((key) => key === keyOf(id) || key === refundsKeyOf(id) || key.startsWith('admin/orders'))
            toast('success', 'Done')
          }}
          onClose={() => ask(undefined)}
        >
          <p>{words(asked).text}</p>
        </ReasonDialog>
      )}
    </div>
  )
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const STEPS: readonly Column<api.Transition>[] = [
  { name: 'When', width: '7rem', cell: ({ at }) => <time dateTime={at}>{exactMoment(at)}</time> },
  { name: 'To', width: '9rem', cell: ({ to }) => <StateBadge state={to} /> },
  {
    name: 'How',
    width: '1fr',
    cell: ({ transition, component, attempt, reason }) => (
      <div>
        {stateName(transition)}
        <span className="table-sub">
          {[component && `${component}, try ${attempt ?? 1}`, reason].filter(Boolean).join(': ')}
        </span>
      </div>
    ),
  },
]

function History({ order: { history } }: { order: api.Order }) {
  return (
    <Panel title="What happened">
      <Table
        label="History"
        columns={STEPS}
        rows={[...history].reverse()}
        keyOf={({ seq }) => String(seq)}
        empty={<p>Nothing yet.</p>}
      />
    </Panel>
  )
}
