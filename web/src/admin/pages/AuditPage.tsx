/** What was done, by whom and why. Nothing of it can be changed or removed. */
import './AuditPage.css'
import { exactTime, fullDate } from '../../shared/format'
import { Field } from '../../shared/ui/Field'
import * as api from '../api/people'
import { useList } from '../lists'
import { Badge } from '../ui/Badge'
import { Bar, useFilters } from '../ui/Bar'
import { ListBody } from '../ui/ListBody'
import type { Column } from '../ui/Table'

const COLUMNS: readonly Column<api.AuditEntry>[] = [
  {
    name: 'When',
    width: '9rem',
    cell: ({ at }) => (
      <time dateTime={at}>
        {exactTime(at)}
        <span className="table-sub">{fullDate(at)}</span>
      </time>
    ),
  },
  {
    name: 'Who',
    width: '1.5fr',
    cell: ({ actor, roles, sudo }) => (
      <div>
        {actor}
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

function Subject({ entry: { subject, versionBefore, versionAfter } }: { entry: api.AuditEntry }) {
  const isVersioned = typeof versionAfter === 'number'
  return (
    <div>
      <code>{subject}</code>
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

const WORDS: Readonly<Record<(typeof api.AUDIT_FILTERS)[number], string>> = {
  actor: 'Who',
  action: 'What',
  subject: 'Of what',
}

export default function AuditPage() {
  const { filters, change, isNarrowed, clear } = useFilters(api.AUDIT_FILTERS)
  const key = `admin/audit?${new URLSearchParams(filters)}`
  const list = useList(key, (cursor, signal) => api.audit(filters, cursor, signal))
  return (
    <div className="page">
      <Bar title="Audit">
        <Badge mood="calm">read only</Badge>
      </Bar>
      <form
        key={key}
        className="filters"
        onSubmit={(event) => {
          event.preventDefault()
          const data = new FormData(event.currentTarget)
          change(Object.fromEntries(api.AUDIT_FILTERS.map((name) => [name, String(data.get(name)).trim()])))
        }}
      >
        {api.AUDIT_FILTERS.map((name) => (
          <Field key={name} label={WORDS[name]} name={name} defaultValue={filters[name]} spellCheck={false} />
        ))}
        <button type="submit" className="button button-quiet">
          Search
        </button>
        {isNarrowed && (
          <button type="button" className="table-button" onClick={clear}>
            Clear
          </button>
        )}
      </form>
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
