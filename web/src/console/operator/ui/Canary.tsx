/** The canary of a component while it runs, and what became of the last one: its runs beside those of the version that serves. */
import './Canary.css'
import { useEffect, useRef, useState } from 'react'
import { outdate, useAnswer } from '../../../shared/answers'
import { Badge, type Mood } from '../../../shared/desk/ui/Badge'
import { Panel } from '../../../shared/desk/ui/Panel'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { dateTime } from '../../../shared/format'
import * as api from '../api'
import { useMay } from '../process'
import { short, took } from '../words'
import { DeedDialog } from './DeedDialog'

/** Between two looks while it runs, and while none does. */
const LOOK_MS = 1_500
const IDLE_MS = 10_000

const STATES: Readonly<Record<string, { words: string; mood: Mood }>> = {
  running: { words: 'runs', mood: 'moving' },
  ending: { words: 'ends', mood: 'moving' },
  taken: { words: 'taken', mood: 'good' },
  thrown_out: { words: 'thrown out', mood: 'bad' },
  stopped: { words: 'stopped', mood: 'calm' },
  replaced: { words: 'replaced', mood: 'calm' },
}

export function isUnderWay(canary: api.CanaryState | null | undefined): boolean {
  return canary?.state === 'running' || canary?.state === 'ending'
}

export function Canary({ name, onEnded }: { name: string; onEnded: () => void }) {
  const key = `console/component/${name}/canary`
  const { data: canary } = useAnswer<api.CanaryState | null>(key, (signal) => api.canary(name, signal), {
    every: (known) => (isUnderWay(known) ? LOOK_MS : IDLE_MS),
  })
  const wasUnderWay = useRef(false)
  const isRunning = isUnderWay(canary)
  // Another version may serve from now on.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the end of it counts
  useEffect(() => {
    if (wasUnderWay.current && !isRunning) onEnded()
    wasUnderWay.current = isRunning
  }, [isRunning])
  const [isStopping, setStopping] = useState(false)
  const may = useMay('design')
  if (!canary) return null
  const { state, reason, share, until, runs, candidate } = canary
  const known = STATES[state] ?? { words: state, mood: 'calm' }
  return (
    <Panel
      title={isRunning ? 'Canary' : 'The last canary'}
      aside={
        isRunning && (
          <button type="button" className="table-button" disabled={!may} onClick={() => setStopping(true)}>
            Stop it…
          </button>
        )
      }
    >
      <p className="canary-state" role="status">
        <Badge mood={known.mood}>{known.words}</Badge>
        <span>
          {canary.version} <code title={canary.digest}>{short(canary.digest)}</code> {isRunning ? 'has' : 'had'} {share}{' '}
          % of the new visits
          {isRunning && until && `, until ${dateTime(until)} at the latest`}.
        </span>
      </p>
      {reason && <p>{reason.charAt(0).toUpperCase() + reason.slice(1)}.</p>}
      {runs !== null && (
        <p className="canary-course">
          <progress max={runs} value={Math.min(candidate.runs, runs)} aria-label="Runs of the canary" />
          {candidate.runs} of {runs} runs
        </p>
      )}
      <Table
        label="Runs of the canary and of the version that serves"
        columns={COLUMNS}
        rows={[
          { who: 'canary', digest: canary.digest, ...candidate },
          { who: 'served', digest: canary.against, ...canary.serving },
        ]}
        keyOf={({ who }) => who}
        empty={null}
      />
      {isStopping && (
        <DeedDialog
          title="Stop the canary"
          action="Stop it"
          words={['components', 'canary', name, '--stop']}
          perform={(why) => api.stopCanary(name, why)}
          onDone={() => {
            setStopping(false)
            outdate((each) => each === key)
          }}
          onClose={() => setStopping(false)}
        >
          <p>
            No new visit runs on {canary.version} ({short(canary.digest)}); those that have begun on it end there.
          </p>
        </DeedDialog>
      )}
    </Panel>
  )
}

interface Row extends api.CanaryRuns {
  who: 'canary' | 'served'
  digest: string
}

const COLUMNS: readonly Column<Row>[] = [
  {
    name: 'Version',
    width: '2fr',
    cell: ({ who, digest }) => (
      <div>
        {who === 'canary' ? 'the canary' : 'what serves'}
        <span className="table-sub">
          <code title={digest}>{short(digest)}</code>
        </span>
      </div>
    ),
  },
  { name: 'Runs', width: '3rem', isNumber: true, cell: ({ runs }) => runs },
  { name: 'Accepted', width: '4.5rem', isNumber: true, cell: ({ accepted }) => accepted },
  { name: 'Rejected', width: '4.5rem', isNumber: true, cell: ({ rejected }) => rejected },
  { name: 'Failed', width: '3.5rem', isNumber: true, cell: ({ failed }) => failed },
  { name: '95 % within', width: '5.5rem', isNumber: true, cell: ({ p95Seconds }) => took(p95Seconds) },
]
