/** What wants to be looked at now, each a link to where it is. What a role cannot see is not asked for. */
import './OverviewPage.css'
import { useAnswer } from '../../shared/answers'
import * as session from '../../shared/desk/session'
import { StateBadge } from '../../shared/desk/ui/Badge'
import { Panel } from '../../shared/desk/ui/Panel'
import { PartTrouble } from '../../shared/desk/ui/Trouble'
import { dateTime, money, orderNumber, time } from '../../shared/format'
import { Link, withQuery } from '../../shared/router'
import { Heading } from '../../shared/ui/Page'
import * as catalogue from '../api/catalogue'
import * as api from '../api/orders'
import { startOfDay } from '../figures'
import { Sales } from '../ui/Sales'

/** A whole office may have this page open behind one address, which shares one rate limit. */
const LOOK_MS = 30_000
/** Lines of a part. */
const SHOWN = 5

export default function OverviewPage() {
  const { roles } = session.useClaims()
  const user = session.useSession()?.user
  const seesOrders = session.has(roles, 'support', 'finance')
  const seesStock = session.has(roles, 'catalogue')
  return (
    <div className="page">
      <Heading title="Overview">Good to see you, {user?.name.split(' ')[0]}</Heading>
      <div className="overview">
        {seesOrders && (
          <>
            <Sales />
            <OrdersPanel
              title="Who needs a person"
              filter={{ attention: 'true' }}
              nothing="Nobody waits for a person."
            />
            <Slow />
            <OrdersPanel
              title="Shipping that failed"
              filter={{ state: 'ship_failed' }}
              nothing="All shipments are on their way."
            />
            <OrdersPanel
              title="Payments that failed"
              filter={{ state: 'payment_failed' }}
              nothing="No payment waits."
            />
            <OrdersPanel title="Newest orders" filter={{}} nothing="Nobody has ordered anything yet." />
          </>
        )}
        {seesStock && <LowStock />}
        {!seesOrders && !seesStock && (
          <Panel title="Nothing to watch">
            {session.has(roles, 'admin') && <p>People and the audit log are in the menu.</p>}
            {session.has(roles, 'operator', 'designer') && (
              <p>
                Operators and designers work in the console. It has an address of its own, which the config of a process
                gives its <code>operator.api</code>: <code>http://127.0.0.1:9080/console/</code> on its machine, if
                nothing else is said. The same account signs in there.
              </p>
            )}
          </Panel>
        )}
      </div>
    </div>
  )
}

interface OrdersProps {
  title: string
  filter: Partial<api.Filters>
  nothing: string
}

function OrdersPanel({ title, filter, nothing }: OrdersProps) {
  const filters = { ...api.NO_FILTER, ...filter }
  const { data, error, refresh } = useAnswer(
    `admin/overview/${title}`,
    (signal) => api.orders(filters, undefined, signal, SHOWN),
    { every: () => LOOK_MS },
  )
  return (
    <Panel title={title} aside={<Link to={withQuery('/orders', filter)}>See all</Link>}>
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {data?.items.length === 0 && <p>{nothing}</p>}
      {data && <Lines orders={data.items} />}
    </Panel>
  )
}

/** Of today the time is enough. */
function when(iso: string): string {
  return Date.parse(iso) >= startOfDay(Date.now()) ? time(iso) : dateTime(iso)
}

function Lines({ orders }: { orders: readonly api.Order[] }) {
  return (
    <ul className="lines">
      {orders.map(({ id, state, total, createdAt }) => (
        <li key={id}>
          <Link to={`/orders/${encodeURIComponent(id)}`}>#{orderNumber(id)}</Link>
          <StateBadge state={state} />
          <span>{when(createdAt)}</span>
          <b>{money(total)}</b>
        </li>
      ))}
    </ul>
  )
}

/** Whose step should have answered long ago. */
const STEPS = ['validating', 'paying', 'shipping'] as const
const SLOW_MS = 10 * 60_000

async function slow(signal: AbortSignal): Promise<api.Order[]> {
  const to = new Date(Date.now() - SLOW_MS).toISOString()
  const ask = (state: string) => api.orders({ ...api.NO_FILTER, state, to }, undefined, signal, SHOWN)
  const found = await Promise.all(STEPS.map(ask))
  return found.flatMap(({ items }) => items).slice(0, SHOWN)
}

function Slow() {
  const { data, error, refresh } = useAnswer('admin/overview/slow', slow, { every: () => LOOK_MS })
  return (
    <Panel title="What is slow">
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {data?.length === 0 && <p>No step is at work on an order of more than ten minutes ago.</p>}
      {data && <Lines orders={data} />}
    </Panel>
  )
}

/** Units at which more should be on its way. */
const LOW = 10

function LowStock() {
  const { data, error, refresh } = useAnswer('admin/overview/stock', (signal) => catalogue.stock('', undefined, signal))
  const low = data?.items.filter(({ onHand, reserved }) => onHand - reserved < LOW)
  return (
    <Panel title="Nearly sold out" aside={<Link to="/stock">See all</Link>}>
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {low?.length === 0 && <p>There is enough of everything.</p>}
      <ul className="lines">
        {low?.slice(0, SHOWN).map(({ sku, name, onHand, reserved }) => (
          <li key={sku}>
            <Link to={`/stock/${encodeURIComponent(sku)}`}>{name ?? sku}</Link>
            <b>{onHand - reserved} free</b>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
