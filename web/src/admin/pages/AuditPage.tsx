/** What was done, by whom and why. Nothing of it can be changed or removed. */
import './AuditPage.css'
import { useAnswer } from '../../shared/answers'
import { useList } from '../../shared/desk/lists'
import * as session from '../../shared/desk/session'
import { AUDIT_FILTERS, AuditSearch } from '../../shared/desk/ui/AuditSearch'
import { Badge } from '../../shared/desk/ui/Badge'
import { Bar, useFilters } from '../../shared/desk/ui/Bar'
import { ListBody } from '../../shared/desk/ui/ListBody'
import type { Column } from '../../shared/desk/ui/Table'
import { When } from '../../shared/desk/ui/When'
import { Link, withQuery } from '../../shared/router'
import { SelectField } from '../../shared/ui/Field'
import * as api from '../api/people'
import { entryOf } from '../menu'
import { Actor } from '../ui/Actor'

const COLUMNS: readonly Column<api.AuditEntry>[] = [
  {
    name: 'When',
    width: '9rem',
    cell: ({ at }) => <When at={at} />,
  },
  {
    name: 'Who',
    width: '1.5fr',
    cell: ({ actor, roles, sudo }) => (
      <div>
        <Link to={withQuery('/audit', { actor })}>
          <Actor id={actor} />
        </Link>
        <span className="table-sub">
          {roles?.join(', ')}
          {sudo && ', with password'}
        </span>
      </div>
    ),
  },
  { name: 'What', width: '10rem', cell: ({ action }) => <code>{action}</code> },
  { name: 'Of what', width: '2fr', cell: (entry) => <Subject entry={entry} /> },
  { name: 'Why', width: '2fr', cell: ({ reason }) => reason ?? '' },
  { name: 'More', width: '6.5rem', cell: (entry) => <Rest entry={entry} /> },
]

/** Where what was changed is shown, if it is, and to who has these roles. */
function pageOf(subject: string, roles: readonly session.Role[]): string | undefined {
  const [kind, id] = subject.split('/')
  if (!id) return undefined
  const page = kind === 'users' ? withQuery('/people', { search: id }) : `/${kind}/${encodeURIComponent(id)}`
  const needed = kind === 'users' ? entryOf('/people') : entryOf(page)
  return needed?.roles && session.has(roles, ...needed.roles) ? page : undefined
}

function Subject({ entry: { subject, versionBefore, versionAfter } }: { entry: api.AuditEntry }) {
  const isVersioned = typeof versionAfter === 'number'
  const page = pageOf(subject, session.useClaims().roles)
  return (
    <div>
      {page ? <Link to={page}>{subject}</Link> : <code>{subject}</code>}
      {isVersioned && (
        <span className="table-sub">
          version {typeof versionBefore === 'number' ? `${versionBefore} to ` : ''}
          {versionAfter}
        </span>
      )}
    </div>
  )
}

function Rest({ entry: { seq, requestId, address, hash } }: { entry: api.AuditEntry }) {
  return (
    <details className="audit-more">
      <summary>Entry {seq}</summary>
      <dl>
        {requestId && (
          <>
            <dt>Request</dt>
            <dd>{requestId}</dd>
          </>
        )}
        {address && (
          <>
            <dt>From</dt>
            <dd>{address}</dd>
          </>
        )}
        {hash && (
          <>
            <dt>Hash</dt>
            <dd>{hash}</dd>
          </>
        )}
      </dl>
    </details>
  )
}

export default function AuditPage() {
  const { filters, change, isNarrowed, clear } = useFilters([...AUDIT_FILTERS, 'log'])
  const log = filters.log === 'orders' ? 'orders' : 'accounts'
  const hasOrders = useAnswer('admin/audit-logs', api.hasLogOfOrders).data
  const key = `admin/audit?${new URLSearchParams(filters)}`
  const list = useList(key, (cursor, signal) => api.audit(log, filters, cursor, signal))
  return (
    <div className="page">
      <Bar title="Audit">
        <Badge mood="calm">read only</Badge>
      </Bar>
      <AuditSearch filters={filters} change={change} isNarrowed={isNarrowed} clear={clear} who="Who (e-mail or id)">
        {hasOrders && (
          <SelectField label="Log" value={log} onChange={(event) => change({ log: event.currentTarget.value })}>
            <option value="accounts">accounts, products, stock</option>
            <option value="orders">orders, refunds</option>
          </SelectField>
        )}
      </AuditSearch>
      <ListBody
        label="Audit entries"
        columns={COLUMNS}
        list={list}
        keyOf={({ seq }) => String(seq)}
        empty={<p>{isNarrowed ? 'No entry fits.' : 'Nothing was done yet.'}</p>}
      />
    </div>
  )
}
