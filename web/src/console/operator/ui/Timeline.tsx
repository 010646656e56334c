/** Stays on a line of time: a bar for each, its attempts stacked in it, and a flag for each timer. */
import './Timeline.css'
import { exactTime, stateName } from '../../../shared/format'
import type { Run, Stage, Timer } from '../api'
import { extent, type Flag, flags, place, strips } from '../timeline'
import { short, span } from '../words'
import { By, keyOf, lasted } from './By'

interface Props {
  stages: readonly Stage[]
  runs: readonly Run[]
  timers: readonly Timer[]
  /** Nothing moves it any more. */
  isFinal: boolean
}

export function Timeline({ stages, runs, timers, isFinal }: Props) {
  const whole = extent(stages, Date.now())
  return (
    <>
      <p className="timeline-key">
        <span data-kind="step">a step works</span>
        <span data-kind="attempt">it failed, or was rejected</span>
        <span data-kind="wait">it waits</span>
        <span data-kind="flag">a timer</span>
      </p>
      <ol className="timeline">
        {stages.map((stage, index) => {
          const { left, width } = place(stage, whole)
          const tried = strips(stage, runs)
          const fired = flags(stage, stages[index + 1]?.transition, timers)
          return (
            <li key={keyOf(stage)}>
              <b>{stateName(stage.state)}</b>
              <span className="timeline-track">
                <span
                  className="timeline-bar"
                  data-kind={stage.step ? 'step' : stage.leftAt === null && isFinal ? 'end' : 'wait'}
                  data-outcome={stage.outcome}
                  style={{ marginInlineStart: `${left}%`, width: `${width}%` }}
                >
                  {tried.map((outcome, at) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: an attempt is its place
                    <span key={at} className="timeline-attempt" data-outcome={outcome} />
                  ))}
                  {stage.digest && (
                    <span className="timeline-digest" aria-hidden="true">
                      {short(stage.digest)}
                    </span>
                  )}
                  {fired.length > 0 && <span className="timeline-flag" aria-hidden="true" />}
                </span>
              </span>
              <span className="timeline-words">
                <span>{lasted(stage, isFinal)}</span>
                <By stage={stage} />
                {tried.length > 1 && stage.leftAt === null && <span>attempt {tried.length}</span>}
                {fired.map((flag) => (
                  <Fired key={flag.name} flag={flag} />
                ))}
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

function Fired({ flag: { name, dueAt } }: { flag: Flag }) {
  if (dueAt === null) return <span>a timer fired {stateName(name)}</span>
  const seconds = (Date.parse(dueAt) - Date.now()) / 1000
  return (
    <span>
      a timer fires {stateName(name)} {seconds > 0 ? `in ${span(seconds)}` : 'now'}
    </span>
  )
}
