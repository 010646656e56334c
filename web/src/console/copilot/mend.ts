/** Everything that is wrong and can be mended without a choice, one fix after the other. */
import { certain, type Fix, isMended, outcome } from '../editor/fixes.ts'
import type { Problem } from '../editor/judge.ts'
import { lens, type Model } from '../lens.ts'

export interface Mended {
  text: string
  /** What was done, in its sequence. */
  steps: readonly { problem: Problem; fix: string; before: string; after: string }[]
  /** What is left to a person. */
  left: readonly Problem[]
}

/** Fixes in a row: a config with more wrong in it is looked at by a person first. */
const MOST_STEPS = 40

/**
 * Mends what can be mended for certain. Each fix is tried by `judge` before it stays: it takes its problem away and brings none. `judge` gives `null`
 * where it is over.
 */
export async function mend(
  model: Model,
  problems: readonly Problem[],
  judge: (text: string) => Promise<readonly Problem[] | null>,
): Promise<Mended | null> {
  let [text, now] = [model.source.text, problems]
  const steps: Mended['steps'][number][] = []
  while (steps.length < MOST_STEPS) {
    const found = await next(lens(text), now, judge)
    if (found === null) return null
    if (!found) break
    steps.push({ problem: found.problem, fix: found.fix.label, before: text, after: found.text })
    text = found.text
    now = found.after
  }
  lens(model.source.text)
  return { text, steps, left: now }
}

interface Found {
  problem: Problem
  fix: Fix
  text: string
  after: readonly Problem[]
}

async function next(
  model: Model,
  problems: readonly Problem[],
  judge: (text: string) => Promise<readonly Problem[] | null>,
): Promise<Found | false | null> {
  for (const problem of problems) {
    for (const fix of certain(model, problem)) {
      const text = outcome(model, fix)
      if (text === null) continue
      const after = await judge(text)
      if (after === null) return null
      if (isMended(problem, problems, after)) return { problem, fix, text, after }
    }
  }
  return false
}
