/** Orders a minute and what came in today. */
import './Sales.css'
import { useAnswer } from '../../shared/answers'
import { Panel } from '../../shared/desk/ui/Panel'
import { PartTrouble } from '../../shared/desk/ui/Trouble'
import { money, time } from '../../shared/format'
import { Link, withQuery } from '../../shared/router'
import * as api from '../api/orders'
import { figures, startOfDay } from '../figures'
import { Plot } from './Plot'

const LOOK_MS = 60_000
/** Orders that are looked at, and how many come at once. */
const MOST = 500
const PART = 100

async function newest(signal: AbortSignal) {
  const from = new Date(startOfDay(Date.now())).toISOString()
  let found: api.Order[] = []
  let cursor: string | undefined
  do {
    const part = await api.orders({ ...api.NO_FILTER, from }, cursor, signal, PART)
    found = [...found, ...part.items]
    cursor = part.cursor
  } while (cursor && found.length < MOST)
  return { orders: found, isAll: cursor === undefined, at: Date.now() }
}

export function Sales() {
  const { data, error, refresh } = useAnswer('admin/overview/sales', newest, { every: () => LOOK_MS })
  const shown = data && figures(data.orders, data.isAll, startOfDay(data.at), data.at)
  const rate = shown?.perMinute.toFixed(shown.perMinute < 10 ? 1 : 0)
  const today = new Date().toLocaleDateString('sv')
  return (
    <Panel title="Sales" aside={<Link to={withQuery('/orders', { from: today })}>Orders of today</Link>}>
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {shown && data && (
        <>
          <dl className="sales">
            <div>
              <dt>Orders a minute</dt>
              <dd>
                <Link to={withQuery('/orders', { from: today })}>{rate}</Link>
              </dd>
            </div>
            <div>
              <dt>{data.isAll ? 'Revenue today' : `Revenue since ${time(new Date(shown.since).toISOString())}`}</dt>
              <dd>
                <Link to={withQuery('/orders', { from: today })}>{money(shown.revenue)}</Link>
              </dd>
            </div>
          </dl>
          <Plot
            label={`Orders in each minute of the last hour: ${rate} on average, at most ${Math.max(...shown.minutes)}`}
            values={shown.minutes}
            from="an hour ago"
            to="now"
          />
        </>
      )}
    </Panel>
  )
}
