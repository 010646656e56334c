/** Components: the version that serves, and how it does. */
import './ComponentsPage.css'
import { useAnswer } from '../../../shared/answers'
import { Badge } from '../../../shared/desk/ui/Badge'
import { Bar } from '../../../shared/desk/ui/Bar'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { PartTrouble } from '../../../shared/desk/ui/Trouble'
import { dateTime } from '../../../shared/format'
import { Link } from '../../../shared/router'
import { Skeleton } from '../../../shared/ui/Page'
import * as api from '../api'
import { command } from '../command'
import { useLive } from '../live'
import { CommandLine } from '../ui/CommandLine'
import { ago, short, took } from '../words'

const COLUMNS: readonly Column<api.Component>[] = [
  {
    name: 'Component',
    width: '2.5fr',
    cell: ({ name }) => (
      <Link to={`/components/${encodeURIComponent(name)}`} className="table-link">
        {name}
      </Link>
    ),
  },
  {
    name: 'Serves',
    width: '1.5fr',
    cell: ({ version, digest, refused, breaker }) => (
      <div>
        {digest ? (
          <>
            {version} <code>{short(digest)}</code>
          </>
        ) : (
          'nothing'
        )}
        <span className="component-signs">
          {refused && <Badge mood="bad">new file refused</Badge>}
          {breaker !== 'closed' && <Badge mood="warn">{`breaker ${breaker}`}</Badge>}
        </span>
      </div>
    ),
  },
  {
    name: 'Since',
    width: '5rem',
    cell: ({ since }) =>
      since && (
        <time dateTime={since} title={dateTime(since)}>
          {ago(since)}
        </time>
      ),
  },
  { name: 'Runs', width: '4rem', isNumber: true, cell: ({ runs }) => runs },
  {
    name: 'Not accepted',
    width: '7rem',
    isNumber: true,
    cell: ({ outcomes, runs }) => runs - (outcomes.accepted ?? 0),
  },
  { name: 'Half within', width: '6rem', isNumber: true, cell: ({ p50Seconds }) => took(p50Seconds) },
  { name: '95 % within', width: '6rem', isNumber: true, cell: ({ p95Seconds }) => took(p95Seconds) },
  {
    name: 'Now',
    width: '3.5rem',
    isNumber: true,
    cell: ({ running, waiting }) => (waiting ? `${running} + ${waiting}` : running),
  },
]

const LOOK_MS = 5_000

export default function ComponentsPage() {
  const { data, error, refresh } = useAnswer<api.Component[]>(
    'console/components',
    (signal) => api.allComponents(signal),
    {
      every: () => LOOK_MS,
    },
  )
  const { live } = useLive()
  // The stream is newer than the answer.
  const rows = data?.map((each) => ({ ...each, ...live?.components[each.name] }))
  return (
    <div className="page">
      <Bar title="Components" />
      {!rows && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {!rows && error === undefined && <Skeleton className="skeleton-block" label="Loading components" />}
      {rows && (
        <Table
          label="Components"
          columns={COLUMNS}
          rows={rows}
          keyOf={({ name }) => name}
          empty={<p>This process runs no components.</p>}
        />
      )}
      <p>
        <Link to="/create" className="button button-quiet">
          Create Component
        </Link>
      </p>
      <CommandLine label="The same in a terminal" command={command('components', 'list')} />
    </div>
  )
}
