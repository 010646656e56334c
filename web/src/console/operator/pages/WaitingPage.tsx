/** What waits for something: each with why, with what mends it, and with what to read about it. */
import './WaitingPage.css'
import { type ReactNode, useState } from 'react'
import { outdate, useAnswer } from '../../../shared/answers'
import { Bar } from '../../../shared/desk/ui/Bar'
import { Panel } from '../../../shared/desk/ui/Panel'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { PartTrouble } from '../../../shared/desk/ui/Trouble'
import { exactMoment } from '../../../shared/format'
import { Link, withQuery } from '../../../shared/router'
import { Skeleton } from '../../../shared/ui/Page'
import { toast } from '../../../shared/ui/toasts'
import * as api from '../api'
import { useMay } from '../process'
import { CommandLine } from '../ui/CommandLine'
import { DeedDialog } from '../ui/DeedDialog'
import { Refused } from '../ui/Refused'
import { span } from '../words'

const KEY = 'console/waiting'
const LOOK_MS = 3_000

/** Something that mends, to be asked about first. */
interface Remedy {
  title: string
  text: string
  what: api.Mending
  words: readonly string[]
  body: Partial<api.Mend>
}

type Ask = (remedy: Remedy) => void

export default function WaitingPage() {
  const { data, error, refresh } = useAnswer<api.Waiting>(KEY, (signal) => api.waiting(signal), {
    every: () => LOOK_MS,
  })
  const [asked, ask] = useState<Remedy>()
  return (
    <div className="page">
      <Bar title="Waiting" />
      <Refused need="mend" />
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {!data && error === undefined && <Skeleton className="skeleton-block" label="Loading what waits" />}
      {data && <Shown waiting={data} ask={ask} />}
      {asked && (
        <DeedDialog
          title={asked.title}
          action={asked.title}
          words={asked.words}
          perform={async (reason) => said(await api.mend(asked.what, { ...asked.body, reason }))}
          onDone={() => {
            ask(undefined)
            outdate((key) => key === KEY || key.startsWith('console/instance'))
          }}
          onClose={() => ask(undefined)}
        >
          <p>{asked.text}</p>
        </DeedDialog>
      )}
    </div>
  )
}

type Result = Awaited<ReturnType<typeof api.mend>>

function said({ done, left, failed }: Result) {
  const [problem] = failed
  if (problem) return toast('error', problem)
  toast('success', `Done for ${done}${left > 0 ? `; ${left} stay, since their events are not kept any more` : ''}`)
}

function Shown({ waiting, ask }: { waiting: api.Waiting; ask: Ask }) {
  const { parked, runs, deadLetters, due, timers, outbox, breakers, attention, held } = waiting
  return (
    <div className="stack">
      <ul className="totals">
        <Total count={attention} to={withQuery('/instances', { attention: 'true' })} isTrouble>
          need a person
        </Total>
        <Total count={parked} isTrouble>
          runs set aside
        </Total>
        <Total count={deadLetters.count} isTrouble>
          dead letters
        </Total>
        <Total count={breakers.length} isTrouble>
          breakers open
        </Total>
        <Total count={held} to={withQuery('/instances', { held: 'true' })}>
          held
        </Total>
        <Total count={outbox.events}>events to publish</Total>
        <Total count={due}>due now</Total>
      </ul>
      <Aside runs={runs} parked={parked} ask={ask} />
      <Letters letters={deadLetters} ask={ask} />
      <Breakers breakers={breakers} />
      <Outbox outbox={outbox} />
      <Panel title="Timers that fire next">
        <Table
          label="Timers"
          columns={TIMERS}
          rows={timers}
          keyOf={({ kind, id, transition }) => `${kind}/${id} ${transition}`}
          empty={<p>No timer runs.</p>}
        />
      </Panel>
    </div>
  )
}

interface TotalProps {
  count: number
  to?: string
  /** Somebody should do something about it. */
  isTrouble?: boolean
  children: string
}

function Total({ count, to, isTrouble = false, children }: TotalProps) {
  return (
    <li data-trouble={isTrouble && count > 0}>
      <b>{count}</b> {to && count > 0 ? <Link to={to}>{children}</Link> : children}
    </li>
  )
}

/** What to read about it, in the folder of the program's documentation. */
function Runbook({ name }: { name: string }) {
  return (
    <span className="runbook">
      Runbook: <code>docs/runbooks/{name}.md</code>
    </span>
  )
}

function Mend({ remedy, ask, children }: { remedy: Remedy; ask: Ask; children: string }) {
  const may = useMay('mend')
  return (
    <button type="button" className="table-button" disabled={!may} onClick={() => ask(remedy)}>
      {children}
    </button>
  )
}

function instanceLink(kind: string, id: string): ReactNode {
  return <Link to={`/instances/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`}>{id}</Link>
}

function Aside({ runs, parked, ask }: { runs: readonly api.SetAside[]; parked: number; ask: Ask }) {
  const release = (run: api.SetAside): Remedy => ({
    title: 'Let it go on',
    text: `The step '${run.name}' of ${run.id} is tried again.`,
    what: 'runs/release',
    words: ['waiting', 'release', run.key],
    body: { keys: [run.key] },
  })
  const all: Remedy = {
    title: 'Let all go on',
    text: `Each of the ${parked} runs is tried again.`,
    what: 'runs/release',
    words: ['waiting', 'release', '--all'],
    body: { all: true },
  }
  const columns: readonly Column<api.SetAside>[] = [
    {
      name: 'Run',
      width: '1.5fr',
      cell: ({ name, kind, id, component }) => (
        <div>
          {name} <span className="table-sub">of {component}</span>
          {instanceLink(kind, id)}
        </div>
      ),
    },
    {
      name: 'Why',
      width: '3fr',
      cell: ({ cause, status, crashes }) => (
        <div>
          {cause}
          <span className="table-sub">
            {status}
            {crashes > 0 && `, the process died in it ${crashes} times`}
          </span>
        </div>
      ),
    },
    {
      name: 'Remedy',
      width: '7rem',
      cell: (run) => (
        <Mend remedy={release(run)} ask={ask}>
          Release…
        </Mend>
      ),
    },
  ]
  return (
    <Panel title="Runs that were set aside" aside={<Runbook name="ComponentQuarantined" />}>
      <Table
        label="Runs that were set aside"
        columns={columns}
        rows={runs}
        keyOf={({ key }) => key}
        empty={<p>None: every step is done or being tried.</p>}
      />
      {parked > runs.length && (
        <p>
          The first {runs.length} of {parked} are shown.
        </p>
      )}
      {parked > 1 && (
        <div className="actions">
          <Mend remedy={all} ask={ask}>
            Release all…
          </Mend>
        </div>
      )}
    </Panel>
  )
}

function Letters({ letters: { place, count, items, cause }, ask }: { letters: api.Waiting['deadLetters']; ask: Ask }) {
  const redrive = (topic: string): Remedy => ({
    title: 'Send again',
    text: `All dead letters of '${topic}' are sent again.`,
    what: 'dead-letters/redrive',
    words: ['waiting', 'redrive', topic],
    body: { topics: [topic] },
  })
  const discard = ({ topic, offset }: api.Letter): Remedy => ({
    title: 'Discard',
    text: `The dead letters of '${topic}' up to this one leave the list. Nobody takes them any more.`,
    what: 'dead-letters/discard',
    words: ['waiting', 'discard', topic, '--through', String(offset)],
    body: { topics: [topic], through: offset },
  })
  const columns: readonly Column<api.Letter>[] = [
    {
      name: 'Event',
      width: '1.5fr',
      cell: ({ topic, key, offset }) => (
        <div>
          {topic} <span className="table-sub">number {offset}</span>
          <code>{key}</code>
        </div>
      ),
    },
    {
      name: 'Why',
      width: '3fr',
      cell: ({ cause, consumer }) => (
        <div>
          {cause}
          <span className="table-sub">given up by {consumer}</span>
        </div>
      ),
    },
    {
      name: 'Remedy',
      width: '11rem',
      cell: (letter) => (
        <span className="remedies">
          <Mend remedy={redrive(letter.topic)} ask={ask}>
            Send again…
          </Mend>
          <Mend remedy={discard(letter)} ask={ask}>
            Discard…
          </Mend>
        </span>
      ),
    },
  ]
  return (
    <Panel title={place === 'kafka' ? 'Dead letters, at Kafka' : 'Dead letters'} aside={<Runbook name="DeadLetters" />}>
      {cause && <p>{cause}</p>}
      <Table
        label="Dead letters"
        columns={columns}
        rows={items}
        keyOf={({ topic, offset, consumer }) => `${topic} ${offset} ${consumer}`}
        empty={<p>{place ? 'None: every event was taken.' : 'This process has no broker.'}</p>}
      />
      {count > items.length && (
        <p>
          The first {items.length} of {count} are shown.
        </p>
      )}
    </Panel>
  )
}

function Breakers({ breakers }: { breakers: api.Waiting['breakers'] }) {
  if (breakers.length === 0) return null
  return (
    <Panel title="Components that are left alone for a while" aside={<Runbook name="BreakerOpen" />}>
      {breakers.map(({ component, state, cause, remedy }) => (
        <div key={component} className="breaker">
          <p>
            <Link to={`/components/${encodeURIComponent(component)}`}>{component}</Link> is {state}: {cause}
          </p>
          <CommandLine command={remedy} />
        </div>
      ))}
    </Panel>
  )
}

function Outbox({ outbox: { events, oldestSeconds, cause } }: { outbox: api.Waiting['outbox'] }) {
  if (events === 0) return null
  return (
    <Panel title="Events that are not published yet" aside={<Runbook name="OutboxAge" />}>
      <p>
        {events} wait{oldestSeconds !== null && `, the oldest for ${span(oldestSeconds)}`}
        {cause ? `: ${cause}` : '. They are new.'}
      </p>
    </Panel>
  )
}

const TIMERS: readonly Column<api.Waiting['timers'][number]>[] = [
  { name: 'Instance', width: '2fr', cell: ({ kind, id }) => instanceLink(kind, id) },
  { name: 'Fires', width: '2fr', cell: ({ transition }) => transition },
  { name: 'At', width: '8rem', cell: ({ dueAt }) => <time dateTime={dueAt}>{exactMoment(dueAt)}</time> },
]
