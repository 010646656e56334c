/** The eight stages as a stream that fills. Stages that change together light up one after the other, as they happened. */
import './Pipeline.css'
import { useEffect, useRef } from 'react'
import { duration, exactTime } from '../../shared/format'
import { Icon } from '../../shared/ui/Icon'
import type { Order } from '../api/resources'
import { type Stage, type StageStatus, stages } from './stages'

const WORDS: Record<StageStatus, string> = {
  done: 'done',
  active: 'in progress',
  failed: 'did not work',
  stopped: 'will not happen',
  waiting: 'to come',
}

export function Pipeline({ order }: { order: Order }) {
  const all = stages(order)
  const delays = useDelays(all)
  return (
    <ol className="pipeline">
      {all.map((stage, index) => (
        <li
          key={stage.state}
          className="stage"
          data-status={stage.status}
          aria-current={stage.status === 'active' ? 'step' : undefined}
          style={{ '--turn': delays[index] } as React.CSSProperties}
        >
          <span className="stage-gate">
            <Gate status={stage.status} />
          </span>
          <div className="stage-text">
            <p className="stage-label">{stage.label}</p>
            <span className="sr-only">{WORDS[stage.status]}</span>
            {stage.note && <p className="stage-note">{stage.note}</p>}
            <StageFacts stage={stage} />
          </div>
          {stage.at && (
            <time className="stage-time" dateTime={stage.at}>
              {exactTime(stage.at)}
            </time>
          )}
        </li>
      ))}
    </ol>
  )
}

function Gate({ status }: { status: StageStatus }) {
  if (status === 'done') return <Icon name="check" />
  if (status === 'failed') return <Icon name="close" />
  return null
}

function StageFacts({ stage: { took, attempts, isCut, component, digest } }: { stage: Stage }) {
  const facts = [
    took !== undefined && `took ${duration(took)}`,
    attempts > 1 && `attempt ${attempts}${isCut ? ' or more' : ''}`,
    component && `by ${component}`,
    digest && `version ${digest.slice(0, 8)}`,
  ].filter(Boolean)
  return facts.length > 0 ? <p className="stage-facts">{facts.join(' · ')}</p> : null
}

/** For each stage, how many changed in the same moment before it. */
function useDelays(all: Stage[]): number[] {
  const before = useRef<StageStatus[] | undefined>(undefined)
  const known = before.current
  const turns: number[] = []
  let turn = 0
  for (const [index, { status }] of all.entries()) turns.push(known && known[index] !== status ? turn++ : 0)
  useEffect(() => {
    before.current = all.map(({ status }) => status)
  })
  return turns
}
