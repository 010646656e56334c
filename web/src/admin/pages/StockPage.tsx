/** How many units there are of what, and how many of them are promised. */

import { useList } from '../../shared/desk/lists'
import { Bar, SearchField, useFilters } from '../../shared/desk/ui/Bar'
import { ListBody } from '../../shared/desk/ui/ListBody'
import type { Column } from '../../shared/desk/ui/Table'
import { Link } from '../../shared/router'
import * as api from '../api/catalogue'

const COLUMNS: readonly Column<api.StockLine>[] = [
  {
    name: 'Product',
    width: '3fr',
    cell: ({ sku, name }) => (
      <div>
        <Link to={`/stock/${encodeURIComponent(sku)}`} className="table-link">
          {name ?? sku}
        </Link>
        {name && <span className="table-sub">{sku}</span>}
      </div>
    ),
  },
  { name: 'On hand', width: '7rem', isNumber: true, cell: ({ onHand }) => onHand },
  { name: 'Held for orders', width: '8rem', isNumber: true, cell: ({ reserved }) => reserved },
  { name: 'Free', width: '7rem', isNumber: true, cell: ({ onHand, reserved }) => <b>{onHand - reserved}</b> },
]

export default function StockPage() {
  const { filters, change } = useFilters(['search'])
  const list = useList(`admin/stock?${filters.search}`, (cursor, signal) => api.stock(filters.search, cursor, signal))
  return (
    <div className="page">
      <Bar title="Stock" />
      <div className="filters">
        <SearchField
          label="Search the stock"
          hint="Name or id"
          value={filters.search}
          onSearch={(search) => change({ search })}
        />
      </div>
      <ListBody
        label="Stock"
        columns={COLUMNS}
        list={list}
        keyOf={({ sku }) => sku}
        empty={<p>{filters.search ? 'Nothing in stock fits this search.' : 'There is nothing in stock.'}</p>}
      />
    </div>
  )
}
