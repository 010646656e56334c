/** How long the largest config takes, as time of the processor: what else the machine does is not in it. */
import { expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { addModule, type Change, setValue } from './commands.ts'
import { applied } from './edits.ts'
import { lens, type Model } from './lens.ts'
import { rename } from './rename.ts'
import { largeConfig } from './testing/corpus.ts'

/** Milliseconds for a text of which nothing is known yet, once the program is warm. */
const OPEN = 60
/** Milliseconds from a gesture to the view of what it leaves: the text that it leaves is read once. */
const GESTURE = 80
/** On a machine that is slow, or busy: so many times what the library takes that reads the text, without anything of ours. */
const FACTOR = 2.5
const TRIES = 8

const LARGE = largeConfig()

function timeOf(work: () => void): number {
  const begun = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1000
}

/** Holds the least of some tries to its budget. `work` gets another number each time, so that nothing is known from before. */
function holds(budget: number, work: (turn: number) => void): void {
  let [least, bare] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let turn = 0; turn < TRIES; turn++) {
    const alone = timeOf(() => parseDocument(LARGE))
    const took = timeOf(() => work(turn))
    bare = Math.min(bare, alone)
    least = Math.min(least, took)
  }
  expect(least, `it took ${least} ms, and the library alone ${bare} ms`).toBeLessThan(Math.max(budget, FACTOR * bare))
}

it('is a config of 500 modules and 2,800 lines', () => {
  expect(lens(LARGE).modules).toHaveLength(500)
  expect(LARGE.split('\n').length).toBeGreaterThan(2800)
  expect(LARGE.length).toBeGreaterThan(63_000)
})

it(`opens within ${OPEN} ms`, () => {
  holds(OPEN, (turn) => {
    expect(lens(`${LARGE}# ${turn}\n`).modules).toHaveLength(500)
  })
}, 60_000)

it.each([
  [
    'a value that is set',
    (model: Model, turn: number) => setValue(model, ['modules', 250, 'config', 'description'], `Turn ${turn}`),
  ],
  [
    'a module that is added',
    (model: Model, turn: number) => addModule(model, { type: 'http.server', name: `server-${turn}` }),
  ],
  [
    'a name that is used in several places',
    (model: Model, turn: number) => rename(model, { kind: 'module', name: 'module-1' }, `turn-${turn}`),
  ],
] as [string, (model: Model, turn: number) => Change][])(
  `%s is seen within ${GESTURE} ms`,
  (_, gesture) => {
    const model = lens(LARGE)
    holds(GESTURE, (turn) => {
      expect(lens(applied(LARGE, gesture(model, turn).edits)).modules.length).toBeGreaterThanOrEqual(500)
    })
  },
  60_000,
)
