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
/** Milliseconds from a gesture to the view of what it leaves. What it leaves is read once, and only where it is new. */
const GESTURE = 80
/** The same of what changes some modules and adds none, as a key in a form does. */
const KEY = 50
/** On a machine that is slow, or busy: so many times what the library takes that reads the text, without anything of ours. */
const FACTORS = { [OPEN]: 2.5, [GESTURE]: 2.5, [KEY]: 1.75 }
const TRIES = 8

const LARGE = largeConfig()

function timeOf(work: () => void): number {
  const begun = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1000
}

/** Holds the least of some tries to its budget. `work` gets another number each time, so that nothing is known from before. */
function holds(budget: keyof typeof FACTORS, work: (turn: number) => void): void {
  let [least, bare] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let turn = 0; turn < TRIES; turn++) {
    const alone = timeOf(() => parseDocument(LARGE))
    const took = timeOf(() => work(turn))
    bare = Math.min(bare, alone)
    least = Math.min(least, took)
  }
  expect(least, `it took ${least} ms, and the library alone ${bare} ms`).toBeLessThan(
    Math.max(budget, FACTORS[budget] * bare),
  )
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
    KEY,
    'a value that is set',
    (model: Model, turn: number) => setValue(model, ['modules', 250, 'config', 'description'], `Turn ${turn}`),
  ],
  [
    GESTURE,
    'a module that is added',
    (model: Model, turn: number) => addModule(model, { type: 'http.server', name: `server-${turn}` }),
  ],
  [
    KEY,
    'a name that is used in several places',
    (model: Model, turn: number) => rename(model, { kind: 'module', name: 'module-1' }, `turn-${turn}`),
  ],
] as [typeof KEY | typeof GESTURE, string, (model: Model, turn: number) => Change][])(
  'within %i ms one sees %s',
  (budget, _, gesture) => {
    const model = lens(LARGE)
    holds(budget, (turn) => {
      expect(lens(applied(LARGE, gesture(model, turn).edits)).modules.length).toBeGreaterThanOrEqual(500)
    })
  },
  60_000,
)
