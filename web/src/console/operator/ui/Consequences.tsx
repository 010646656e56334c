/** What it comes to when a text becomes the config: in one sentence, then whose work is in the way, what is wrong, and each change. */
import './Consequences.css'
import { useMemo } from 'react'
import { Badge, type Mood } from '../../../shared/desk/ui/Badge'
import { Link, withQuery } from '../../../shared/router'
import { type Part, partsOf, verdictOf } from '../changes'
import type { Plan } from '../config'

/** A problem, as a plan tells it. */
export interface Told {
  severity: string
  message: string
  help?: string
  line?: number
  column?: number
}

interface Props {
  plan: Plan
  /** Shows where a problem is. */
  onProblem?: (problem: Told) => void
}

export function Consequences({ plan, onProblem }: Props) {
  const parts = useMemo(() => partsOf(plan), [plan])
  const problems = plan.problems as readonly Told[]
  const isRefused = !plan.valid || plan.stranded.length > 0
  return (
    <div className="consequences">
      <p className="consequences-verdict" data-mood={isRefused ? 'bad' : plan.takes === 'restart' ? 'warn' : 'good'}>
        {verdictOf(plan)}
      </p>
      {plan.stranded.length > 0 && <Stranded stranded={plan.stranded} />}
      {problems.length > 0 && <Problems problems={problems} onProblem={onProblem} />}
      {parts.length > 0 && <Parts parts={parts} runs={plan.valid} />}
    </div>
  )
}

function Stranded({ stranded }: { stranded: Plan['stranded'] }) {
  return (
    <section aria-label="Whose work would be stranded">
      <ul className="consequences-list">
        {stranded.map(({ workflow, what, instances }) => (
          <li key={`${workflow} ${what}`}>
            <b>{instances}</b> of <Link to={withQuery('/instances', { workflow, finished: 'false' })}>{workflow}</Link>{' '}
            {instances === 1 ? 'needs' : 'need'} <code>{what}</code>, which this text does not name. Keep the name until
            they have ended.
          </li>
        ))}
      </ul>
    </section>
  )
}

function Problems({ problems, onProblem }: { problems: readonly Told[]; onProblem: Props['onProblem'] }) {
  return (
    <section aria-label="What is wrong">
      <ul className="consequences-list">
        {problems.map((problem) => {
          const { severity, line, column, message, help } = problem
          const at = line === undefined ? null : `${line}:${column}`
          return (
            <li key={`${at} ${message}`} data-severity={severity}>
              {at && onProblem ? (
                <button type="button" className="text-button" onClick={() => onProblem(problem)}>
                  Line {at}
                </button>
              ) : (
                at && <code>{at}</code>
              )}{' '}
              <b>{message}</b> {help}
            </li>
          )
        })}
      </ul>
    </section>
  )
}

const HOW: Record<Part['how'], string> = { came: 'is new', went: 'is gone', differs: '' }
const TAKES: readonly [Mood, string][] = [
  ['warn', 'by a restart'],
  ['good', 'live'],
]

/** `runs`: whether the text runs at all. Of one that does not, nobody can say when the process takes it. */
function Parts({ parts, runs }: { parts: readonly Part[]; runs: boolean }) {
  return (
    <section aria-label="What changes">
      <ul className="consequences-parts">
        {parts.map(({ name, isLive, how, values }) => {
          const [mood, word] = TAKES[Number(isLive)] ?? ['calm', '']
          return (
            <li key={name}>
              <div>
                <b>{name}</b> {HOW[how]}
                {runs && <Badge mood={mood}>{word}</Badge>}
              </div>
              {values.length > 0 && (
                <dl>
                  {values.map((value, index) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: two values may have one name, and a plan does not change
                    <div key={index}>
                      <dt>{value.name}</dt>
                      <dd>
                        {value.from === null ? <i>nothing</i> : <code>{value.from}</code>} <span>becomes</span>{' '}
                        {value.to === null ? <i>nothing</i> : <code>{value.to}</code>}
                      </dd>
                    </div>
                  ))}
                </dl>
              )}
            </li>
          )
        })}
      </ul>
    </section>
  )
}
