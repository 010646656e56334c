/** One instance: where it is, what happens next, how it came there, and what may be done about it. */
import './InstancePage.css'
import { useState } from 'react'
import { outdate, useAction, useAnswer } from '../../../shared/answers'
import * as session from '../../../shared/desk/session'
import { Facts, Panel } from '../../../shared/desk/ui/Panel'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { Trouble } from '../../../shared/desk/ui/Trouble'
import { dateTime, exactMoment } from '../../../shared/format'
import { Link, navigate, usePath, useQuery, withQuery } from '../../../shared/router'
import { BackLink } from '../../../shared/ui/BackLink'
import { More } from '../../../shared/ui/More'
import { Heading, Skeleton } from '../../../shared/ui/Page'
import * as api from '../api'
import { Course, VIEWS, type View } from '../ui/Course'
import { InstanceActions } from '../ui/InstanceActions'
import { State } from '../ui/State'
import { actor, ago, short } from '../words'

/** Between two looks while something may happen by itself. */
const LOOK_MS = 2_000

export default function InstancePage({ kind, id }: { kind: string; id: string }) {
  const key = `console/instance/${kind}/${id}`
  const { data, error, refresh } = useAnswer<api.Instance>(key, (signal) => api.instance(kind, id, signal), {
    every: (known) => (known && !known.final ? LOOK_MS : undefined),
  })
  if (error !== undefined && !data)
    return (
      <Trouble error={error} retry={refresh} what="instance" back={{ to: '/instances', name: 'See all instances' }} />
    )
  return (
    <div className="page">
      <BackLink to="/instances">Instances</BackLink>
      {data ? (
        <Shown
          instance={data}
          onChanged={() => outdate((each) => each === key || each.startsWith('console/instances'))}
        />
      ) : (
        <Skeleton className="skeleton-block" label="Loading the instance" />
      )}
    </div>
  )
}

function Shown({ instance, onChanged }: { instance: api.Instance; onChanged: () => void }) {
  const me = session.useSession()?.user.id
  const { kind, id, attention, held, workflow, definition, version, owner, createdAt, lastUpdate } = instance
  return (
    <>
      <div className="instance-title">
        <Heading title={id}>{id}</Heading>
        <span role="status">
          <State row={instance} />
        </span>
      </div>
      {attention && <p className="instance-attention">{attention}</p>}
      {held && (
        <p className="instance-attention">
          Held by <span title={held.who}>{held.who === me ? 'you' : actor(held.who)}</span> since {dateTime(held.at)}:{' '}
          {held.reason}
        </p>
      )}
      <Panel title="What happens next">
        <ul className="lines">
          {instance.next.map(({ text, at }) => (
            <li key={text}>
              <p>{sentence(text)}.</p>
              {at && <time dateTime={at}>{exactMoment(at)}</time>}
            </li>
          ))}
        </ul>
        <InstanceActions instance={instance} onChanged={onChanged} />
      </Panel>
      <div className="split instance-parts">
        <div className="stack">
          <Panel title="What happened" aside={<Views />}>
            <Told instance={instance} />
          </Panel>
          <Runs runs={instance.runs} />
          <Attempts attempts={instance.attempts} />
          <WaitingEvents events={instance.waiting} />
        </div>
        <div className="stack">
          <Panel title="About it">
            <Facts
              facts={[
                ['Kind', kind],
                [
                  'Workflow',
                  <Link key="all" to={withQuery('/instances', { workflow })}>
                    {workflow}
                  </Link>,
                ],
                [
                  'Definition',
                  <code key="of" title={definition}>
                    {short(definition)}
                  </code>,
                ],
                ['Version', version],
                [
                  'Owner',
                  owner && (
                    <Link key="whose" to={withQuery('/instances', { owner })}>
                      {owner}
                    </Link>
                  ),
                ],
                ['Created', `${dateTime(createdAt)}, ${ago(createdAt)}`],
                ['Changed', `${dateTime(lastUpdate)}, ${ago(lastUpdate)}`],
              ]}
            />
          </Panel>
          <Panel title="Data">
            <p className="instance-private">Private fields are hidden.</p>
            <pre className="instance-data">{JSON.stringify(instance.data, null, 2)}</pre>
          </Panel>
        </div>
      </div>
    </>
  )
}

function useView(): View {
  const asked = useQuery().get('view')
  return VIEWS.find((view) => view === asked) ?? 'stages'
}

function Views() {
  const view = useView()
  const path = usePath()
  return (
    <fieldset className="views">
      <legend className="sr-only">Shown as</legend>
      {VIEWS.map((name) => (
        <button
          key={name}
          type="button"
          className="view"
          aria-pressed={name === view}
          onClick={() => navigate(withQuery(path, { view: name === 'stages' ? '' : name }), { replace: true })}
        >
          {sentence(name)}
        </button>
      ))}
    </fieldset>
  )
}

type Told = Pick<api.Instance, 'stages' | 'history' | 'changes'>

/** A part of a history, and the part after it. */
function together(before: Told | undefined, after: Told | undefined): Told {
  return {
    stages: [...(before?.stages ?? []), ...(after?.stages ?? [])],
    history: [...(before?.history ?? []), ...(after?.history ?? [])],
    changes: [...(before?.changes ?? []), ...(after?.changes ?? [])],
  }
}

/** With what was before, of a long history, once that was asked for. */
function Told({ instance }: { instance: api.Instance }) {
  const view = useView()
  const [older, setOlder] = useState<Told & { next: number | null }>()
  const next = older ? older.next : instance.historyNext
  const more = useAction(() => api.olderHistory(instance.kind, instance.id, next ?? 0), {
    onSuccess: ({ historyNext, ...told }) => setOlder({ ...together(told, older), next: historyNext }),
  })
  return (
    <>
      {next !== null && <More action={more}>Show what was before</More>}
      <Course
        view={view}
        isFinal={instance.final}
        runs={instance.runs}
        timers={instance.timers}
        {...together(older, instance)}
      />
    </>
  )
}

const RUNS: readonly Column<api.Run>[] = [
  {
    name: 'Run',
    width: '3fr',
    cell: ({ name, kind, component, key }) => (
      <div title={key}>
        {name}
        <span className="table-sub">
          {kind} of {component}
        </span>
      </div>
    ),
  },
  {
    name: 'Status',
    width: '6.5rem',
    cell: ({ status, dueAt }) => (
      <div>
        {status}
        {dueAt && (
          <time className="table-sub" dateTime={dueAt}>
            {exactMoment(dueAt)}
          </time>
        )}
      </div>
    ),
  },
  { name: 'Attempt', width: '4.5rem', cell: ({ attempt, of }) => `${attempt}${of ? ` of ${of}` : ''}` },
  { name: 'Last failure', width: '3fr', cell: ({ lastError }) => lastError ?? '' },
]

/** Up to so many are shown without being asked for. */
const FEW_RUNS = 8

/** Of many, those that are done stand back: what may need somebody is among the others. */
function Runs({ runs }: { runs: api.Instance['runs'] }) {
  const [isWhole, setWhole] = useState(false)
  if (runs.length === 0) return null
  const open = runs.filter(({ status }) => status !== 'done')
  const isShort = !isWhole && runs.length > FEW_RUNS
  const done = runs.length - open.length
  return (
    <Panel title="Runs of steps">
      {isShort && open.length === 0 ? (
        <p>None is under way or waits.</p>
      ) : (
        <Table label="Runs" columns={RUNS} rows={isShort ? open : runs} keyOf={({ key }) => key} empty="None" />
      )}
      {isShort && done > 0 && (
        <button type="button" className="table-button" onClick={() => setWhole(true)}>
          Show the {done} that are done
        </button>
      )}
    </Panel>
  )
}

const ATTEMPTS: readonly Column<api.Instance['attempts'][number]>[] = [
  {
    name: 'Attempt',
    width: '2fr',
    cell: ({ step, attempt, run, digest }) => (
      <div title={run}>
        {step}, {attempt}
        <span className="table-sub">on {short(digest)}</span>
      </div>
    ),
  },
  {
    name: 'When',
    width: '8rem',
    cell: ({ beganAt, endedAt }) => (
      <div>
        <time dateTime={beganAt}>{exactMoment(beganAt)}</time>
        <span className="table-sub">took {(Date.parse(endedAt) - Date.parse(beganAt)).toLocaleString()} ms</span>
      </div>
    ),
  },
  {
    name: 'Why it failed',
    width: '3fr',
    cell: ({ outcome, reason }) => (
      <div>
        {reason ?? ''}
        <span className="table-sub">{outcome}</span>
      </div>
    ),
  },
]

/** Those that were made again; the last one of each stay is told by what happened. */
function Attempts({ attempts }: { attempts: api.Instance['attempts'] }) {
  if (attempts.length === 0) return null
  return (
    <Panel title="Attempts that failed">
      <Table
        label="Attempts"
        columns={ATTEMPTS}
        rows={attempts}
        keyOf={({ run, attempt, endedAt }) => `${run} ${attempt} ${endedAt}`}
        empty="None"
      />
    </Panel>
  )
}

const WAITING: readonly Column<api.Instance['waiting'][number]>[] = [
  {
    name: 'Asks for',
    width: '3fr',
    cell: ({ transition, event }) => <div title={event}>{transition}</div>,
  },
  { name: 'Heard by', width: '3fr', cell: ({ consumer }) => consumer },
  { name: 'Came', width: '8rem', cell: ({ at }) => <time dateTime={at}>{exactMoment(at)}</time> },
]

/** What moves the instance, in this sequence, once it is released. */
function WaitingEvents({ events }: { events: api.Instance['waiting'] }) {
  if (events.length === 0) return null
  return (
    <Panel title="Events that wait for its release">
      <Table
        label="Waiting events"
        columns={WAITING}
        rows={events}
        keyOf={({ event, consumer }) => consumer + event}
        empty="None"
      />
    </Panel>
  )
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}
