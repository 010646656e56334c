/** What is wrong with a text that is not shown: by the host where it answers, else by what the browser knows. */
import { lens } from '../../lens.ts'
import { check } from '../host.ts'
import { judged, type Problem } from '../judge.ts'
import { type Judgement, placed } from '../problems.ts'

/** `null` once `over` says so, or where the host has stopped answering. */
export function judgeBy(by: Judgement['by'], over: AbortSignal): (text: string) => Promise<readonly Problem[] | null> {
  return async (text) => {
    if (over.aborted) return null
    if (by === 'browser') {
      // A large config takes its time: what a person does comes first.
      await new Promise((next) => setTimeout(next))
      return judged(lens(text))
    }
    const verdict = await check(text, over)
    return verdict.kind === 'judged' ? verdict.problems.map((one) => placed(one, text)) : null
  }
}

/** Problems that one text has and another has not; what is said twice counts twice. */
export function added(before: readonly Problem[], after: readonly Problem[]): Problem[] {
  const left = before.map(({ message }) => message)
  return after.filter(({ message }) => {
    const own = left.indexOf(message)
    if (own >= 0) left.splice(own, 1)
    return own < 0
  })
}
