/** Accounts: which roles they have, and whether they can sign in. */
import { useState } from 'react'
import { outdate } from '../../shared/answers'
import { useList } from '../../shared/desk/lists'
import * as session from '../../shared/desk/session'
import { Badge } from '../../shared/desk/ui/Badge'
import { Bar, SearchField, useFilters } from '../../shared/desk/ui/Bar'
import { ListBody } from '../../shared/desk/ui/ListBody'
import { ReasonDialog } from '../../shared/desk/ui/ReasonDialog'
import type { Column } from '../../shared/desk/ui/Table'
import { dateTime } from '../../shared/format'
import { toast } from '../../shared/ui/toasts'
import * as api from '../api/people'
import { Roles } from '../ui/Roles'

type Deed = { account: api.Account; what: 'roles' | 'disable' | 'enable' }

export default function PeoplePage() {
  const { filters, change } = useFilters(['search', 'staff'])
  const [deed, begin] = useState<Deed>()
  const staff = filters.staff === 'true'
  const list = useList(`admin/people?${filters.search}&${staff}`, (cursor, signal) =>
    api.accounts({ search: filters.search, staff }, cursor, signal),
  )
  const columns: readonly Column<api.Account>[] = [
    {
      name: 'Who',
      width: '2.5fr',
      cell: ({ name, email }) => (
        <div>
          <b>{name}</b>
          <span className="table-sub">{email}</span>
        </div>
      ),
    },
    {
      name: 'Roles',
      width: '2fr',
      cell: (account) => (
        <span className="badges">
          {account.disabled && <Badge mood="bad">disabled</Badge>}
          {account.roles.length === 0 && !account.disabled && 'customer'}
          {account.roles.map((role) => (
            <Badge key={role} mood="moving">
              {role}
            </Badge>
          ))}
        </span>
      ),
    },
    {
      name: 'Second factor',
      width: '7rem',
      cell: ({ secondFactor }) => (secondFactor === undefined ? '' : secondFactor ? 'yes' : 'no'),
    },
    { name: 'Since', width: '9rem', cell: ({ createdAt }) => (createdAt ? dateTime(createdAt) : '') },
    {
      name: 'Change',
      width: '12rem',
      cell: (account) => (
        <span className="badges">
          <button type="button" className="table-button" onClick={() => begin({ account, what: 'roles' })}>
            Roles<span className="sr-only"> of {account.name}</span>
          </button>
          <button
            type="button"
            className="table-button"
            onClick={() => begin({ account, what: account.disabled ? 'enable' : 'disable' })}
          >
            {account.disabled ? 'Enable' : 'Disable'}
            <span className="sr-only"> {account.name}</span>
          </button>
        </span>
      ),
    },
  ]
  const done = (words: string) => {
    begin(undefined)
    outdate((key) => key.startsWith('admin/people'))
    list.refresh()
    toast('success', words)
  }
  return (
    <div className="page">
      <Bar title="People" />
      <div className="filters">
        <SearchField
          label="Search people"
          hint="Name or e-mail"
          value={filters.search}
          onSearch={(search) => change({ search })}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={staff}
            onChange={(event) => change({ staff: event.currentTarget.checked ? 'true' : '' })}
          />
          Only who works here
        </label>
      </div>
      <ListBody
        label="People"
        columns={columns}
        list={list}
        keyOf={({ id }) => id}
        empty={<p>{filters.search || staff ? 'Nobody fits this search.' : 'There is nobody yet.'}</p>}
      />
      {deed && <Change deed={deed} onDone={done} onClose={() => begin(undefined)} />}
    </div>
  )
}

interface ChangeProps {
  deed: Deed
  onDone: (words: string) => void
  onClose: () => void
}

function Change({ deed: { account, what }, onDone, onClose }: ChangeProps) {
  const { id, name, roles } = account
  if (what === 'roles')
    return (
      <ReasonDialog
        title={`Roles of ${name}`}
        action="Save roles"
        perform={(reason, data) =>
          api.setRoles(
            id,
            session.ROLES.filter((role) => data.has(`role-${role}`)),
            reason,
          )
        }
        onDone={() => onDone(`Roles of ${name} are changed`)}
        onClose={onClose}
      >
        <Roles own={roles} />
        <p className="field-hint">It counts from the next time that {name} signs in; sessions that are open end.</p>
      </ReasonDialog>
    )
  const isDisabled = what === 'disable'
  return (
    <ReasonDialog
      title={isDisabled ? `Disable ${name}` : `Enable ${name}`}
      action={isDisabled ? 'Disable' : 'Enable'}
      perform={(reason) => api.setDisabled(id, isDisabled, reason)}
      onDone={() => onDone(isDisabled ? `${name} can sign in no more` : `${name} can sign in again`)}
      onClose={onClose}
    >
      <p>
        {isDisabled
          ? 'Open sessions end, and nobody can sign in to this account until it is enabled again. Its orders go on.'
          : 'The account can be signed in to again, with the roles that it had.'}
      </p>
    </ReasonDialog>
  )
}
