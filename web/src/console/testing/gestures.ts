/** What a gesture does to a text, for tests to compare. */
import type { Change } from '../commands.ts'
import { applied } from '../edits.ts'
import { lens, type Model } from '../lens.ts'

/** The text after a gesture on it. */
export function edited(text: string, gesture: (model: Model) => Change): string {
  return applied(text, gesture(lens(text)).edits)
}

/** What is different, as `diff` tells it: lines that go with `-`, lines that come with `+`, in the sequence of the text. */
export function diff(before: string, next: string): string[] {
  const [old, now] = [before.split('\n'), next.split('\n')]
  const at = common(old, now)
  const told: string[] = []
  for (let [i, j] = [0, 0]; i < old.length || j < now.length; ) {
    if (i < old.length && old[i] === now[j]) [i, j] = [i + 1, j + 1]
    else if (i < old.length && (j === now.length || at(i + 1, j) >= at(i, j + 1))) told.push(`-${old[i++]}`)
    else told.push(`+${now[j++]}`)
  }
  return told
}

/** The text after the changes of a unified diff, each of which fits in one place. */
export function patched(text: string, diff: string): string {
  const hunks = diff.split('\n@@ ').slice(1)
  return hunks.reduce((now, hunk) => {
    const lines = hunk.split('\n').slice(1)
    if (lines.at(-1) === '') lines.pop()
    const without = (sign: string) => lines.filter((line) => !line.startsWith(sign)).map((line) => `${line.slice(1)}\n`)
    const [before, after] = [without('+').join(''), without('-').join('')]
    const parts = now.split(before)
    if (parts.length !== 2) throw new Error(`This is no longer in one place of the text:\n${before}`)
    return parts.join(after)
  }, text)
}

/** How long the longest common part is of what is left of two lists, by where both go on. */
function common(old: readonly string[], now: readonly string[]): (i: number, j: number) => number {
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1))
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      lengths[i]?.set([old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))], j)
    }
  }
  return at
}
