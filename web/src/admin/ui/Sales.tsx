/** Orders a minute and what came in today; the last hour and the last day to look at. */
import './Sales.css'
import { useAnswer } from '../../shared/answers'
import { Panel } from '../../shared/desk/ui/Panel'
import { PartTrouble } from '../../shared/desk/ui/Trouble'
import { money } from '../../shared/format'
import { Link, withQuery } from '../../shared/router'
import * as api from '../api/orders'
import { revenue, type Sales as Sold, sales, startOfDay } from '../figures'
import { Plot } from './Plot'

const LOOK_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

async function counted(signal: AbortSignal) {
  const now = Date.now()
  const [hour, day, today] = await Promise.all([
    api.figures(now - HOUR_MS, now, 'minute', signal),
    api.figures(now - DAY_MS, now, 'hour', signal),
    api.figures(startOfDay(now), now, 'hour', signal),
  ])
  return { hour: sales(hour), day: sales(day), revenue: revenue(today) }
}

function said(orders: number) {
  return orders.toFixed(orders < 10 ? 1 : 0)
}

export function Sales() {
  const { data, error, refresh } = useAnswer('admin/overview/sales', counted, { every: () => LOOK_MS })
  const today = withQuery('/orders', { from: new Date().toLocaleDateString('sv') })
  return (
    <Panel title="Sales" aside={<Link to={today}>Orders of today</Link>}>
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {data && (
        <>
          <dl className="sales">
            <div>
              <dt>Orders a minute</dt>
              <dd>
                <Link to={today}>{said(data.hour.perMinute)}</Link>
              </dd>
            </div>
            <div>
              <dt>Revenue today</dt>
              <dd>
                <Link to={today}>{money(data.revenue)}</Link>
              </dd>
            </div>
          </dl>
          <Course each="minute" time="hour" from="an hour ago" sold={data.hour} />
          <Course each="hour" time="day" from="a day ago" sold={data.day} />
        </>
      )}
    </Panel>
  )
}

function Course({ each, time, from, sold }: { each: string; time: string; from: string; sold: Sold }) {
  const label = `Orders in each ${each} of the last ${time}: ${said(sold.perMinute)} a minute on average, at most ${sold.most}`
  return <Plot label={label} values={sold.values} from={from} to="now" />
}
