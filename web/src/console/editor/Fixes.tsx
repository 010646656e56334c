/** What can be done about a problem with one click. */
import { useEffect, useState } from 'react'
import { lens } from '../lens.ts'
import { perform, useModel } from './documents.ts'
import { type Fix, tried, whyNot } from './fixes.ts'
import { check } from './host.ts'
import { judged, type Problem } from './judge.ts'
import type { Judgement } from './problems.ts'

export type Fixes = ReadonlyMap<Problem, readonly Fix[]>

/** Problems whose fixes are tried: nobody reads more at once. */
const MOST = 25
/** A person goes on typing: fixes are tried when they pause. */
const PAUSE_MS = 250

/** The fixes of the problems that are shown, each tried before it is offered. */
export function useFixes({ problems, by }: Pick<Judgement, 'problems' | 'by'>): Fixes {
  const model = useModel()
  const [found, setFound] = useState<{ problems: readonly Problem[]; fixes: Fixes }>({ problems, fixes: new Map() })
  useEffect(() => {
    const over = new AbortController()
    const judge = async (text: string) => {
      if (over.signal.aborted) return null
      if (by === 'browser') {
        // A large config takes its time: what a person does comes first.
        await new Promise((next) => setTimeout(next))
        return judged(lens(text))
      }
      const verdict = await check(text, over.signal)
      return verdict.kind === 'judged' ? verdict.problems : null
    }
    const look = async () => {
      const fixes = new Map<Problem, readonly Fix[]>()
      for (const problem of problems.slice(0, MOST)) {
        fixes.set(problem, await tried(model, problem, problems, judge))
        if (over.signal.aborted) return
        setFound({ problems, fixes: new Map(fixes) })
      }
    }
    const pause = setTimeout(() => void look(), PAUSE_MS)
    return () => {
      clearTimeout(pause)
      over.abort()
    }
  }, [model, problems, by])
  return found.problems === problems ? found.fixes : new Map()
}

export function FixButtons({ problem, fixes }: { problem: Problem; fixes: Fixes }) {
  const own = fixes.get(problem)
  if (!own) return null
  if (own.length === 0) return <p className="problem-no-fix">{whyNot(problem)}</p>
  return (
    <p className="problem-fixes">
      {own.map((fix) => (
        <button
          key={fix.label}
          type="button"
          aria-label={`${fix.label}: ${problem.message}`}
          onClick={() => perform(fix.make)}
        >
          {fix.label}
        </button>
      ))}
    </p>
  )
}
