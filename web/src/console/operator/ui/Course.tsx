/** How an instance came to where it is, three times: stay by stay, on a line of time, and as it was written down. */
import './Course.css'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { exactMoment, stateName } from '../../../shared/format'
import type { HistoryEntry, Run, Stage, Timer } from '../api'
import { short } from '../words'
import { By, keyOf, lasted } from './By'
import { Timeline } from './Timeline'

export const VIEWS = ['stages', 'timeline', 'history'] as const
export type View = (typeof VIEWS)[number]

interface Props {
  view: View
  stages: readonly Stage[]
  history: readonly HistoryEntry[]
  /** Of its steps, and its timers, as far as they go on. */
  runs: readonly Run[]
  timers: readonly Timer[]
  /** Nothing moves it any more. */
  isFinal: boolean
}

export function Course({ view, stages, history, runs, timers, isFinal }: Props) {
  if (view === 'timeline') return <Timeline stages={stages} runs={runs} timers={timers} isFinal={isFinal} />
  if (view === 'history') return <History history={history} />
  return <Stages stages={stages} isFinal={isFinal} />
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
              by {stateName(stage.transition)} at <time dateTime={stage.enteredAt}>{exactMoment(stage.enteredAt)}</time>
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

const COLUMNS: readonly Column<HistoryEntry>[] = [
  { name: 'No.', width: '3rem', isNumber: true, cell: ({ seq }) => seq },
  { name: 'When', width: '7rem', cell: ({ at }) => <time dateTime={at}>{exactMoment(at)}</time> },
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
