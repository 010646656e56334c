/** Every move of one product's stock, whose sum is the stock, and the form that adds one. */
import { outdate, useAnswer } from '../../shared/answers'
import { useList } from '../../shared/desk/lists'
import { ListBody } from '../../shared/desk/ui/ListBody'
import { Facts, Panel } from '../../shared/desk/ui/Panel'
import type { Column } from '../../shared/desk/ui/Table'
import { Trouble } from '../../shared/desk/ui/Trouble'
import { dateTime, orderNumber } from '../../shared/format'
import { Link } from '../../shared/router'
import { BackLink } from '../../shared/ui/BackLink'
import { Heading } from '../../shared/ui/Page'
import * as api from '../api/catalogue'
import { Actor } from '../ui/Actor'
import { MoveForm } from '../ui/MoveForm'

/** A reservation has the id of its order. */
const ORDER = 'order-'

const COLUMNS: readonly Column<api.Move>[] = [
  { name: 'When', width: '9rem', cell: ({ at }) => <time dateTime={at}>{dateTime(at)}</time> },
  { name: 'Change', width: '4rem', isNumber: true, cell: ({ delta }) => <b>{signed(delta)}</b> },
  { name: 'On hand', width: '5rem', isNumber: true, cell: ({ onHand }) => onHand },
  { name: 'Held', width: '4rem', isNumber: true, cell: ({ reserved }) => reserved },
  {
    name: 'Why',
    width: '1fr',
    cell: ({ reason, note, actor, key }) => (
      <div>
        {reason}
        <span className="table-sub">
          {note}
          {key?.startsWith(ORDER) && <Link to={`/orders/${encodeURIComponent(key)}`}>order #{orderNumber(key)}</Link>}
          {actor && (
            <>
              {note ? ', by ' : 'by '}
              <Actor id={actor} />
            </>
          )}
        </span>
      </div>
    ),
  },
]

function signed(delta: number): string {
  return delta > 0 ? `+${delta}` : String(delta).replace('-', '−')
}

export default function LedgerPage({ sku }: { sku: string }) {
  const list = useList(`admin/stock/moves/${sku}`, (cursor, signal) => api.moves(sku, cursor, signal), {
    every: 10_000,
  })
  const product = useAnswer(`admin/product/${sku}`, (signal) => api.product(sku, signal)).data
  const newest = list.items?.[0]
  const changed = () => {
    outdate((key) => key.startsWith('admin/stock') || key.startsWith('admin/product'))
    list.refresh()
  }
  if (list.error !== undefined && !list.items)
    return (
      <Trouble
        error={list.error}
        retry={list.refresh}
        what="product"
        back={{ to: '/stock', name: 'See all of the stock' }}
      />
    )
  return (
    <div className="page">
      <BackLink to="/stock">Stock</BackLink>
      <Heading>{`Stock of ${product?.name ?? sku}`}</Heading>
      <div className="split split-aside-first">
        <div className="stack">
          {newest && (
            <Panel title="Now">
              <Facts
                facts={[
                  [
                    'Product',
                    <Link key="product" to={`/products/${encodeURIComponent(sku)}`}>
                      {product?.name ?? sku}
                    </Link>,
                  ],
                  ['Id', <code key="id">{sku}</code>],
                  ['On hand', newest.onHand],
                  ['Held for orders', newest.reserved],
                  ['Free', newest.onHand - newest.reserved],
                ]}
              />
            </Panel>
          )}
          {/* A count begins with what the ledger says. */}
          {list.items && (
            <Panel title="Move stock">
              <MoveForm sku={sku} onHand={newest?.onHand ?? 0} onDone={changed} />
            </Panel>
          )}
        </div>
        <div>
          <ListBody
            label="Moves"
            columns={COLUMNS}
            list={list}
            keyOf={({ seq }) => String(seq)}
            empty={<p>Nothing has come in yet.</p>}
          />
        </div>
      </div>
    </div>
  )
}
