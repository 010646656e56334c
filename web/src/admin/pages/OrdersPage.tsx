/** Everybody's orders, newest first; what they are narrowed down by is in the address. */
import { useAction } from '../../shared/answers'
import { explain } from '../../shared/api/errors'
import { useList } from '../../shared/desk/lists'
import { Badge, StateBadge } from '../../shared/desk/ui/Badge'
import { Bar, SearchField, useFilters } from '../../shared/desk/ui/Bar'
import { ListBody } from '../../shared/desk/ui/ListBody'
import { Sign } from '../../shared/desk/ui/Sign'
import type { Column } from '../../shared/desk/ui/Table'
import { dateTime, money, orderNumber, stateName } from '../../shared/format'
import { Link } from '../../shared/router'
import { Field, FormError, SelectField } from '../../shared/ui/Field'
import { download } from '../api/download'
import * as api from '../api/orders'

const COLUMNS: readonly Column<api.Order>[] = [
  {
    name: 'Order',
    width: '1.4fr',
    cell: ({ id }) => (
      <Link to={`/orders/${encodeURIComponent(id)}`} className="table-link" title={id}>
        #{orderNumber(id)}
      </Link>
    ),
  },
  {
    name: 'State',
    width: '2fr',
    cell: ({ state, attention }) => (
      <span className="badges">
        <StateBadge state={state} /> {attention && <Badge mood="warn">needs a person</Badge>}
      </span>
    ),
  },
  { name: 'What', width: '3fr', cell: ({ lines }) => summary(lines) },
  { name: 'Total', width: '7rem', isNumber: true, cell: ({ total }) => money(total) },
  { name: 'Placed', width: '9rem', cell: ({ createdAt }) => <time dateTime={createdAt}>{dateTime(createdAt)}</time> },
]

function summary(lines: readonly api.Line[]): string {
  const [first, ...others] = lines
  if (!first) return 'No items'
  return `${first.name} ×${first.quantity}${others.length > 0 ? ` and ${others.length} more` : ''}`
}

/** Between two looks at the newest ones. */
const LOOK_MS = 10_000

export default function OrdersPage() {
  const { filters, change, isNarrowed, clear } = useFilters(api.FILTERS)
  const key = `admin/orders?${new URLSearchParams(filters)}`
  const list = useList(key, (cursor, signal) => api.orders(filters, cursor, signal), { every: LOOK_MS })
  const asked = Object.entries(api.asked(filters)).filter((each): each is [string, string] => Boolean(each[1]))
  const exporting = useAction(() => download('/api/admin/orders/export', Object.fromEntries(asked), 'orders.csv'), {
    onSuccess: () => {},
  })
  return (
    <div className="page">
      <Bar title="Orders">
        <button
          type="button"
          className="button button-quiet"
          aria-disabled={exporting.isPending}
          onClick={() => exporting.run()}
        >
          <Sign name="download" />
          {exporting.isPending ? 'Exporting…' : isNarrowed ? 'Export these' : 'Export all'}
        </button>
      </Bar>
      {exporting.error !== undefined && <FormError>{explain(exporting.error)}</FormError>}
      <Filters filters={filters} change={change} isNarrowed={isNarrowed} clear={clear} />
      <ListBody
        label="Orders"
        columns={COLUMNS}
        list={list}
        keyOf={({ id }) => id}
        empty={
          isNarrowed ? (
            <>
              <p>No order fits.</p>
              <button type="button" className="button button-quiet" onClick={clear}>
                Show all
              </button>
            </>
          ) : (
            <p>Nobody has ordered anything yet.</p>
          )
        }
      />
    </div>
  )
}

interface FilterProps {
  filters: api.Filters
  change: (some: Partial<api.Filters>) => void
  isNarrowed: boolean
  clear: () => void
}

function Filters({ filters, change, isNarrowed, clear }: FilterProps) {
  const text = (name: keyof api.Filters) => ({
    value: filters[name],
    onChange: (event: { target: { value: string } }) => change({ [name]: event.target.value }),
  })
  return (
    <div className="filters">
      <SearchField
        label="Search orders"
        hint="Order, e-mail, transaction, tracking"
        value={filters.search}
        onSearch={(search) => change({ search })}
      />
      <SelectField label="State" {...text('state')}>
        <option value="">Any</option>
        {api.STATES.map((state) => (
          <option key={state} value={state}>
            {stateName(state)}
          </option>
        ))}
      </SelectField>
      <Field label="From" type="date" {...text('from')} />
      <Field label="Until" type="date" {...text('to')} />
      <Field label="At least $" type="number" min="0" step="0.01" inputMode="decimal" {...text('minTotal')} />
      <Field label="At most $" type="number" min="0" step="0.01" inputMode="decimal" {...text('maxTotal')} />
      <label className="check">
        <input
          type="checkbox"
          checked={filters.attention === 'true'}
          onChange={(event) => change({ attention: event.currentTarget.checked ? 'true' : '' })}
        />
        Needs a person
      </label>
      {filters.product && <p className="check">With product {filters.product}</p>}
      {isNarrowed && (
        <button type="button" className="table-button" onClick={clear}>
          Clear
        </button>
      )}
    </div>
  )
}
