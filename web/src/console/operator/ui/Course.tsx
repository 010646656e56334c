/** How an instance came to where it is, three times: stay by stay, on a line of time, and as it was written down. */
import './Course.css'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { duration, exactTime, stateName } from '../../../shared/format'
import { Link, withQuery } from '../../../shared/router'
import type { HistoryEntry, Stage } from '../api'
import { extent, place } from '../timeline'
import { short } from '../words'

export const VIEWS = ['stages', 'timeline', 'history'] as const
export type View = (typeof VIEWS)[number]

interface Props {
  view: View
  stages: readonly Stage[]
  history: readonly HistoryEntry[]
  /** Nothing moves it any more. */
  isFinal: boolean
}

export function Course({ view, stages, history, isFinal }: Props) {
  if (view === 'timeline') return <Timeline stages={stages} isFinal={isFinal} />
  if (view === 'history') return <History history={history} />
  return <Stages stages={stages} isFinal={isFinal} />
}

const keyOf = ({ state, enteredAt, transition }: Stage) => `${state} ${enteredAt} ${transition}`

function lasted({ enteredAt, leftAt }: Stage, isFinal: boolean): string {
  if (!leftAt) return isFinal ? 'the end' : 'now'
  return duration(Date.parse(leftAt) - Date.parse(enteredAt))
}

/** Who ended a stay, with the version. */
function By({ stage: { component, digest, attempts } }: { stage: Stage }) {
  if (!component) return null
  return (
    <>
      <Link to={`/components/${encodeURIComponent(component)}`}>{component}</Link>
      {digest && (
        <Link to={withQuery('/instances', { digest: digest.slice(0, 12) })} title={`Moved by ${digest}`}>
          <code>{short(digest)}</code>
        </Link>
      )}
      {attempts !== null && attempts > 1 && <span>{attempts} attempts</span>}
    </>
  )
}

function Stages({ stages, isFinal }: Pick<Props, 'stages' | 'isFinal'>) {
  return (
    <ol className="stays">
      {stages.map((stage) => (
        <li key={keyOf(stage)} className="stay" data-outcome={stage.outcome} data-current={stage.leftAt === null}>
          <div className="stay-head">
            <b>{stateName(stage.state)}</b>
            <span>{lasted(stage, isFinal)}</span>
          </div>
          <p className="stay-how">
            <span>
              by {stateName(stage.transition)} at <time dateTime={stage.enteredAt}>{exactTime(stage.enteredAt)}</time>
            </span>
            {stage.step && <span>waits for {stage.step}</span>}
            <By stage={stage} />
            {stage.outcome && <span className="stay-outcome">{stage.outcome}</span>}
          </p>
          {stage.reason && <p className="stay-reason">{stage.reason}</p>}
        </li>
      ))}
    </ol>
  )
}

function Timeline({ stages, isFinal }: Pick<Props, 'stages' | 'isFinal'>) {
  const whole = extent(stages, Date.now())
  return (
    <>
      <p className="timeline-key">
        <span data-kind="step">a step works</span>
        <span data-kind="wait">it waits</span>
      </p>
      <ol className="timeline">
        {stages.map((stage) => {
          const { left, width } = place(stage, whole)
          return (
            <li key={keyOf(stage)}>
              <b>{stateName(stage.state)}</b>
              <span className="timeline-track">
                <span
                  className="timeline-bar"
                  data-kind={stage.step ? 'step' : stage.leftAt === null && isFinal ? 'end' : 'wait'}
                  data-outcome={stage.outcome}
                  style={{ marginInlineStart: `${left}%`, width: `${width}%` }}
                />
              </span>
              <span className="timeline-words">
                <span>{lasted(stage, isFinal)}</span>
                <By stage={stage} />
              </span>
            </li>
          )
        })}
      </ol>
      <p className="timeline-ends">
        <time dateTime={new Date(whole.from).toISOString()}>{exactTime(new Date(whole.from).toISOString())}</time>
        <time dateTime={new Date(whole.to).toISOString()}>{exactTime(new Date(whole.to).toISOString())}</time>
      </p>
    </>
  )
}

const COLUMNS: readonly Column<HistoryEntry>[] = [
  { name: 'No.', width: '3rem', isNumber: true, cell: ({ seq }) => seq },
  { name: 'When', width: '7rem', cell: ({ at }) => <time dateTime={at}>{exactTime(at)}</time> },
  { name: 'Transition', width: '1.5fr', cell: ({ transition }) => transition },
  { name: 'From', width: '1fr', cell: ({ from }) => from },
  { name: 'To', width: '1fr', cell: ({ to }) => to },
  {
    name: 'Why',
    width: '2fr',
    cell: ({ cause, component, digest, attempt, reason }) => (
      <div>
        {cause}
        <span className="table-sub">
          {[component, digest && short(digest), attempt && `attempt ${attempt}`, reason].filter(Boolean).join(' · ')}
        </span>
      </div>
    ),
  },
]

function History({ history }: { history: readonly HistoryEntry[] }) {
  return (
    <Table
      label="History"
      columns={COLUMNS}
      rows={[...history].reverse()}
      keyOf={({ seq }) => String(seq)}
      empty={<p>Nothing yet.</p>}
    />
  )
}
