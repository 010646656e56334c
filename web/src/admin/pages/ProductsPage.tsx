/** The catalogue with what customers do not see: drafts, and what is not sold any more. */
import './ProductsPage.css'
import { useList } from '../../shared/desk/lists'
import { Badge, type Mood } from '../../shared/desk/ui/Badge'
import { Bar, SearchField, useFilters } from '../../shared/desk/ui/Bar'
import { ListBody } from '../../shared/desk/ui/ListBody'
import type { Column } from '../../shared/desk/ui/Table'
import { dateTime, money } from '../../shared/format'
import { Link } from '../../shared/router'
import { SelectField } from '../../shared/ui/Field'
import * as api from '../api/catalogue'

const MOODS: Readonly<Record<api.Status, Mood>> = { draft: 'warn', active: 'good', retired: 'calm' }

const COLUMNS: readonly Column<api.Product>[] = [
  {
    name: 'Product',
    width: '3fr',
    cell: ({ id, name, image }) => (
      <div className="product-cell">
        {image.startsWith('/') && <img src={`${image}#${id}`} alt="" loading="lazy" />}
        <div>
          <Link to={`/products/${encodeURIComponent(id)}`} className="table-link">
            {name}
          </Link>
          <span className="table-sub">{id}</span>
        </div>
      </div>
    ),
  },
  { name: 'Status', width: '6rem', cell: ({ status }) => <Badge mood={MOODS[status]}>{status}</Badge> },
  { name: 'Category', width: '1.5fr', cell: ({ category }) => category },
  { name: 'Price', width: '7rem', isNumber: true, cell: ({ price }) => money(price) },
  { name: 'In stock', width: '5rem', isNumber: true, cell: ({ stock }) => stock },
  {
    name: 'Changed',
    width: '9rem',
    cell: ({ lastUpdate }) => <time dateTime={lastUpdate}>{dateTime(lastUpdate)}</time>,
  },
]

export default function ProductsPage() {
  const { filters, change, isNarrowed, clear } = useFilters(['search', 'status'])
  const key = `admin/products?${new URLSearchParams(filters)}`
  const list = useList(key, (cursor, signal) => api.products(filters, cursor, signal))
  return (
    <div className="page">
      <Bar title="Products">
        <Link to="/products/import" className="button button-quiet">
          Import
        </Link>
        <Link to="/products/new" className="button">
          New product
        </Link>
      </Bar>
      <div className="filters">
        <SearchField
          label="Search products"
          hint="Name or id"
          value={filters.search}
          onSearch={(search) => change({ search })}
        />
        <SelectField label="Status" value={filters.status} onChange={(event) => change({ status: event.target.value })}>
          <option value="">Any</option>
          {api.STATUSES.map((status) => (
            <option key={status}>{status}</option>
          ))}
        </SelectField>
      </div>
      <ListBody
        label="Products"
        columns={COLUMNS}
        list={list}
        keyOf={({ id }) => id}
        empty={
          isNarrowed ? (
            <>
              <p>No product fits this search.</p>
              <button type="button" className="button button-quiet" onClick={clear}>
                Show all
              </button>
            </>
          ) : (
            <p>There are no products yet. Make one, or import a list of them.</p>
          )
        }
      />
    </div>
  )
}
