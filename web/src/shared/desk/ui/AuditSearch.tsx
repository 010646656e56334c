/** What an audit log is searched by: sent as a whole, since each search looks through the log. */
import type { ReactNode } from 'react'
import { Field } from '../../ui/Field'

export const AUDIT_FILTERS = ['actor', 'action', 'subject'] as const
type Name = (typeof AUDIT_FILTERS)[number]
export type AuditFilters = Readonly<Record<Name, string>>

interface Props {
  filters: AuditFilters
  change: (some: AuditFilters) => void
  isNarrowed: boolean
  clear: () => void
  /** What people are found by: their e-mails are where the accounts are. */
  who: string
  /** Other fields, before these. */
  children?: ReactNode
}

/** Each is looked for as a whole. */
const SUCH_AS: Readonly<Record<Name, string>> = {
  actor: '',
  action: 'such as refunds.create',
  subject: 'such as products/prod-001',
}

export function AuditSearch({ filters, change, isNarrowed, clear, who, children }: Props) {
  const words: Readonly<Record<Name, string>> = { actor: who, action: 'What', subject: 'Of what' }
  return (
    <form
      className="filters"
      key={AUDIT_FILTERS.map((name) => filters[name]).join('\n')}
      onSubmit={(event) => {
        event.preventDefault()
        const data = new FormData(event.currentTarget)
        const text = (name: Name) => String(data.get(name)).trim()
        change({ actor: text('actor'), action: text('action'), subject: text('subject') })
      }}
    >
      {children}
      {AUDIT_FILTERS.map((name) => (
        <Field
          key={name}
          label={words[name]}
          name={name}
          defaultValue={filters[name]}
          placeholder={SUCH_AS[name]}
          spellCheck={false}
        />
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
  )
}
