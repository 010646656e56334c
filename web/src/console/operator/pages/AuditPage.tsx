/** What was done in this process, by whom and why. Nothing of it can be changed or removed. */
import './AuditPage.css'
import { useAnswer } from '../../../shared/answers'
import { useList } from '../../../shared/desk/lists'
import * as session from '../../../shared/desk/session'
import { AUDIT_FILTERS, AuditSearch } from '../../../shared/desk/ui/AuditSearch'
import { Badge } from '../../../shared/desk/ui/Badge'
import { Bar, useFilters } from '../../../shared/desk/ui/Bar'
import { ListBody } from '../../../shared/desk/ui/ListBody'
import type { Column } from '../../../shared/desk/ui/Table'
import { When } from '../../../shared/desk/ui/When'
import { Link } from '../../../shared/router'
import { Heading } from '../../../shared/ui/Page'
import * as api from '../audit'
import { useSignIn } from '../signIn'
import { actor as named } from '../words'

const COLUMNS: readonly Column<api.Entry>[] = [
  {
    name: 'When',
    width: '9rem',
    cell: ({ at }) => <When at={at} />,
  },
  {
    name: 'Who',
    width: '1.5fr',
    cell: ({ actor, roles }) => (
      <div>
        <span title={actor}>{named(actor)}</span>
        <span className="table-sub">{roles.join(', ')}</span>
      </div>
    ),
  },
  { name: 'What', width: '10rem', cell: ({ action }) => <code>{action}</code> },
  { name: 'Of what', width: '2fr', cell: ({ subject }) => <Subject subject={subject} /> },
  { name: 'Why', width: '2fr', cell: ({ reason }) => reason ?? '' },
  {
    name: 'Entry',
    width: '6rem',
    cell: ({ seq, hash, requestId, address }) => (
      <details className="entry">
        <summary>{seq}</summary>
        {[requestId && `request ${requestId}`, address && `from ${address}`, `hash ${hash}`].filter(Boolean).join(', ')}
      </details>
    ),
  },
]

function Subject({ subject }: { subject: string }) {
  const [kind = '', id, ...rest] = subject.split('/')
  if (!id || rest.length > 0 || ['users', 'products', 'stock'].includes(kind)) return <code>{subject}</code>
  if (kind === 'components') return <Link to={`/components/${encodeURIComponent(id)}`}>{subject}</Link>
  return <Link to={`/instances/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`}>{subject}</Link>
}

export default function AuditPage() {
  const { roles } = session.useClaims()
  const isSignedIn = session.useSession() !== null
  const signIn = useSignIn()
  const { data: place } = useAnswer('console/audit-place', (signal) => api.place(signal))
  return (
    <div className="page">
      {session.has(roles, 'admin') && place ? (
        <Log place={place} />
      ) : (
        <>
          <Heading>Audit</Heading>
          {place === null ? (
            <p>This process keeps no audit log that is read here.</p>
          ) : (
            <p>
              The audit log is for the role admin.{' '}
              {isSignedIn ? 'Your account does not have it.' : <Link to={signIn}>Sign in</Link>}
            </p>
          )}
        </>
      )}
    </div>
  )
}

function Log({ place }: { place: string }) {
  const { filters, change, isNarrowed, clear } = useFilters(AUDIT_FILTERS)
  const key = `console/audit?${new URLSearchParams(filters)}`
  const list = useList(key, (cursor, signal) => api.entries(place, filters, cursor, signal))
  return (
    <>
      <Bar title="Audit">
        <Badge mood="calm">read only</Badge>
      </Bar>
      <AuditSearch filters={filters} change={change} isNarrowed={isNarrowed} clear={clear} who="Who (id)" />
      <ListBody
        label="Audit entries"
        columns={COLUMNS}
        list={list}
        keyOf={({ seq }) => String(seq)}
        empty={<p>{isNarrowed ? 'No entry fits.' : 'Nothing was done yet.'}</p>}
      />
    </>
  )
}
