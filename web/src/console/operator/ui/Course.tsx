/** How an instance came to where it is, three times: stay by stay, on a line of time, and as it was written down. */
import './Course.css'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { exactMoment, stateName } from '../../../shared/format'
import type { DataChange, HistoryEntry, Run, Stage, Timer } from '../api'
import { short } from '../words'
import { By, keyOf, lasted } from './By'
import { Changes } from './Changes'
import { Timeline } from './Timeline'

export const VIEWS = ['stages', 'timeline', 'history'] as const
export type View = (typeof VIEWS)[number]

interface Props {
  view: View
  stages: readonly Stage[]
  history: readonly HistoryEntry[]
  /** What the transitions have changed in its data. */
  changes: readonly DataChange[]
  /** Of its steps, and its timers, as far as they go on. */
  runs: readonly Run[]
  timers: readonly Timer[]
  /** Nothing moves it any more. */
  isFinal: boolean
}

export function Course({ view, stages, history, changes, runs, timers, isFinal }: Props) {
  if (view === 'timeline') return <Timeline stages={stages} runs={runs} timers={timers} isFinal={isFinal} />
  if (view === 'history') return <History history={history} changes={changes} />
  return <Stages stages={stages} changes={changes} isFinal={isFinal} />
}

function Stages({ stages, changes, isFinal }: Pick<Props, 'stages' | 'changes' | 'isFinal'>) {
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
              by {stateName(stage.transition)} at <time dateTime={stage.enteredAt}>{exactMoment(stage.enteredAt)}</time>
            </span>
            {stage.step && <span>waits for {stage.step}</span>}
            <By stage={stage} />
            {stage.outcome && <span className="stay-outcome">{stage.outcome}</span>}
          </p>
          {stage.reason && <p className="stay-reason">{stage.reason}</p>}
          {/* What ended the stay has changed them. */}
          <Changes changes={of(changes, stage.seq + 1)} />
        </li>
      ))}
    </ol>
  )
}

function of(changes: readonly DataChange[], seq: number): readonly DataChange[] {
  return changes.filter((change) => change.seq === seq)
}

const columns = (changes: readonly DataChange[]): readonly Column<HistoryEntry>[] => [
  { name: 'No.', width: '3rem', isNumber: true, cell: ({ seq }) => seq },
  { name: 'When', width: '7rem', cell: ({ at }) => <time dateTime={at}>{exactMoment(at)}</time> },
  {
    name: 'Transition',
    width: '2fr',
    cell: ({ transition, from, to }) => (
      <div>
        {transition}
        <span className="table-sub">
          {from} → {to}
        </span>
      </div>
    ),
  },
  {
    name: 'Why',
    width: '3fr',
    cell: ({ seq, cause, component, digest, attempt, reason }) => (
      <div>
        {cause}
        <span className="table-sub">
          {[component, digest && short(digest), attempt && `attempt ${attempt}`, reason].filter(Boolean).join(' · ')}
        </span>
        <Changes changes={of(changes, seq)} />
      </div>
    ),
  },
]

function History({ history, changes }: Pick<Props, 'history' | 'changes'>) {
  return (
    <Table
      label="History"
      columns={columns(changes)}
      rows={[...history].reverse()}
      keyOf={({ seq }) => String(seq)}
      empty={<p>Nothing yet.</p>}
    />
  )
}
