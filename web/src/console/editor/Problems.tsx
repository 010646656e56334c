/** Everything that is wrong with the config, with the place where it is written. */
import './Problems.css'
import { useEffect, useRef } from 'react'
import { select, useModel } from './documents.ts'
import { FixButtons, useFixes } from './Fixes.tsx'
import type { Problem } from './judge.ts'
import { useHost, useProblems } from './problems.ts'
import { pathAt } from './selection.ts'
import { view } from './view.ts'

export function Problems() {
  const { problems, by } = useProblems()
  const host = useHost()
  const model = useModel()
  const fixes = useFixes({ problems, by })
  const look = (problem: Problem) => {
    view({ text: true })
    select({ path: pathAt(model, problem.from) })
  }
  return (
    <section className="problems" aria-labelledby="problems-heading" id="panel-problems" tabIndex={-1}>
      <header>
        <h2 id="problems-heading">Problems</h2>
        <p>{by === 'host' ? 'Checked by the host, as it would be at its start.' : WHY_NOT[host]}</p>
      </header>
      {problems.length === 0 ? (
        <p className="problems-none">None.</p>
      ) : (
        <ul>
          {problems.map((problem) => (
            <li key={`${problem.line}:${problem.column}:${problem.message}`}>
              <button type="button" className="problem" data-severity={problem.severity} onClick={() => look(problem)}>
                <code>
                  {problem.line}:{problem.column}
                </code>
                <span>
                  <b>{problem.message}</b> {problem.help}
                </span>
              </button>
              <FixButtons problem={problem} fixes={fixes} />
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

const WHY_NOT = {
  unknown: 'Checked in this browser.',
  there: 'Checked in this browser; the host is being asked.',
  away: 'Checked in this browser only: no host answers here. It knows more, such as whether files are there.',
  closed: 'Checked in this browser only: the host answers who has logged in.',
} as const

/** Goes to the next problem after the one before, with F8. */
export function useNextProblem(): () => void {
  const { problems } = useProblems()
  const model = useModel()
  const last = useRef(-1)
  const all = useRef(problems)
  useEffect(() => {
    all.current = problems
  }, [problems])
  return () => {
    last.current = (last.current + 1) % Math.max(all.current.length, 1)
    const problem = all.current[last.current]
    view({ problems: true })
    if (problem) select({ path: pathAt(model, problem.from) })
  }
}
