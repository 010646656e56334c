/** Instances of all workflows, the newest first; what they are narrowed down by is in the address. */
import './InstancesPage.css'
import { useEffect, useRef, useState } from 'react'
import { outdate } from '../../../shared/answers'
import { useList } from '../../../shared/desk/lists'
import { Bar, SearchField, useFilters } from '../../../shared/desk/ui/Bar'
import { ListBody } from '../../../shared/desk/ui/ListBody'
import type { Column } from '../../../shared/desk/ui/Table'
import { dateTime, stateName } from '../../../shared/format'
import { Link } from '../../../shared/router'
import { Field, SelectField } from '../../../shared/ui/Field'
import * as api from '../api'
import { command, options } from '../command'
import { type Live, useLive } from '../live'
import { useMay } from '../process'
import { BulkDialog } from '../ui/BulkDialog'
import { CommandLine } from '../ui/CommandLine'
import { Refused } from '../ui/Refused'
import { State } from '../ui/State'
import { ago } from '../words'

const COLUMNS: readonly Column<api.InstanceRow>[] = [
  {
    name: 'Instance',
    width: '2fr',
    cell: ({ kind, id }) => (
      <Link to={`/instances/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`} className="table-link">
        {id}
      </Link>
    ),
  },
  { name: 'Workflow', width: '1.4fr', cell: ({ workflow }) => workflow },
  { name: 'State', width: '2fr', cell: (row) => <State row={row} /> },
  { name: 'Owner', width: '8rem', cell: ({ owner }) => owner && <span title={owner}>{owner.slice(-8)}</span> },
  {
    name: 'Changed',
    width: '7rem',
    cell: ({ lastUpdate }) => (
      <time dateTime={lastUpdate} title={dateTime(lastUpdate)}>
        {ago(lastUpdate)}
      </time>
    ),
  },
]

const KEY = 'console/instances'
/** Between two looks when nothing tells of changes. */
const LOOK_MS = 10_000

export default function InstancesPage() {
  const { filters, change, isNarrowed, clear } = useFilters(api.FILTERS)
  const key = `${KEY}?${new URLSearchParams(filters)}`
  const list = useList(key, (cursor, signal) => api.instances(filters, cursor, signal), { every: LOOK_MS })
  const [isActing, setActing] = useState(false)
  const mayAct = useMay('act')
  const { live } = useLive()
  useFreshness(live)
  return (
    <div className="page">
      <Bar title="Instances">
        <button type="button" className="button button-quiet" disabled={!mayAct} onClick={() => setActing(true)}>
          {isNarrowed ? 'Act on all of these…' : 'Act on all…'}
        </button>
      </Bar>
      <Refused need="act" />
      <Filters filters={filters} change={change} isNarrowed={isNarrowed} clear={clear} />
      {live && <Counts live={live} filters={filters} change={change} />}
      <ListBody
        label="Instances"
        columns={COLUMNS}
        list={list}
        keyOf={({ kind, id }) => `${kind}/${id}`}
        empty={
          isNarrowed ? (
            <>
              <p>No instance fits.</p>
              <button type="button" className="button button-quiet" onClick={clear}>
                Show all
              </button>
            </>
          ) : (
            <p>There are no instances yet.</p>
          )
        }
      />
      <CommandLine label="The same in a terminal" command={command('instances', 'list', ...options(filters))} />
      {isActing && (
        <BulkDialog filters={filters} onDone={() => outdate(isOfInstances)} onClose={() => setActing(false)} />
      )}
    </div>
  )
}

function isOfInstances(key: string): boolean {
  return key.startsWith('console/instance')
}

/** At most so often the list is asked for again because something has changed. */
const QUIET_MS = 2_000

/** Has the list ask again when the stream tells of changes. */
function useFreshness(live: Live | undefined) {
  const told = JSON.stringify(live?.workflows)
  const first = useRef(told)
  useEffect(() => {
    if (told === first.current) return
    const timer = setTimeout(() => {
      first.current = told
      outdate((key) => key.startsWith(`${KEY}?`))
    }, QUIET_MS)
    return () => clearTimeout(timer)
  }, [told])
}

interface FilterProps {
  filters: api.Filters
  change: (some: Partial<api.Filters>) => void
  isNarrowed: boolean
  clear: () => void
}

const AGES = [
  ['1m', 'a minute'],
  ['10m', 'ten minutes'],
  ['1h', 'an hour'],
  ['1d', 'a day'],
  ['7d', 'a week'],
] as const

function Filters({ filters, change, isNarrowed, clear }: FilterProps) {
  const { live } = useLive()
  const workflows = Object.keys(live?.workflows ?? {})
  const isOther = filters.workflow !== '' && !workflows.includes(filters.workflow)
  return (
    <form
      className="filters"
      key={`${filters.owner} ${filters.digest}`}
      onSubmit={(event) => {
        event.preventDefault()
        const data = new FormData(event.currentTarget)
        change({ owner: String(data.get('owner')).trim(), digest: String(data.get('digest')).trim() })
      }}
    >
      <SearchField
        label="Search instances"
        hint="A part of an id"
        value={filters.text}
        onSearch={(text) => change({ text })}
      />
      <SelectField
        label="Workflow"
        value={filters.workflow}
        onChange={(event) => change({ workflow: event.currentTarget.value, state: '' })}
      >
        <option value="">Any</option>
        {[...workflows, ...(isOther ? [filters.workflow] : [])].map((name) => (
          <option key={name}>{name}</option>
        ))}
      </SelectField>
      <SelectField
        label="Ended"
        value={filters.finished}
        onChange={(event) => change({ finished: event.currentTarget.value })}
      >
        <option value="">Either</option>
        <option value="false">No</option>
        <option value="true">Yes</option>
      </SelectField>
      <SelectField
        label="Unchanged for"
        value={filters.olderThan}
        onChange={(event) => change({ olderThan: event.currentTarget.value })}
      >
        <option value="">Any time</option>
        {AGES.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </SelectField>
      <Field label="Owner" name="owner" defaultValue={filters.owner} spellCheck={false} autoComplete="off" />
      <Field
        label="Moved by digest"
        name="digest"
        defaultValue={filters.digest}
        spellCheck={false}
        autoComplete="off"
        pattern="[0-9a-fA-F]{6,64}"
        title="The beginning of a digest: 6 hex digits or more"
      />
      <button type="submit" className="table-button">
        Apply
      </button>
      <Flag name="attention" filters={filters} change={change}>
        Needs a person
      </Flag>
      <Flag name="held" filters={filters} change={change}>
        Held
      </Flag>
      {isNarrowed && (
        <button type="button" className="table-button" onClick={clear}>
          Clear
        </button>
      )}
    </form>
  )
}

interface FlagProps extends Pick<FilterProps, 'filters' | 'change'> {
  name: 'attention' | 'held'
  children: string
}

function Flag({ name, filters, change, children }: FlagProps) {
  return (
    <label className="check">
      <input
        type="checkbox"
        checked={filters[name] === 'true'}
        onChange={(event) => change({ [name]: event.currentTarget.checked ? 'true' : '' })}
      />
      {children}
    </label>
  )
}

/** How many are where, as it changes; each number narrows the list down. */
function Counts({ live, filters, change }: { live: Live } & Pick<FilterProps, 'filters' | 'change'>) {
  const shown = Object.entries(live.workflows).filter(
    ([name, { states }]) =>
      (filters.workflow === '' || name === filters.workflow) && Object.values(states).some((count) => count > 0),
  )
  return (
    <div className="counts">
      {shown.map(([workflow, { states, unfinished }]) => (
        <fieldset key={workflow}>
          <legend>
            {workflow} <span>{unfinished} under way</span>
          </legend>
          {Object.entries(states)
            .filter(([state, count]) => count > 0 || state === filters.state)
            .map(([state, count]) => {
              const isChosen = filters.state === state
              return (
                <button
                  key={state}
                  type="button"
                  className="count"
                  aria-pressed={isChosen}
                  onClick={() => change(isChosen ? { state: '' } : { state, workflow })}
                >
                  {stateName(state)} <b>{count}</b>
                </button>
              )
            })}
        </fieldset>
      ))}
    </div>
  )
}
