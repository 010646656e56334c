/** What the copilot writes by its rules is what `millrace validate` accepts, and what it mends is mended. No page is opened. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { CHIPS, EXAMPLES, understood } from '../src/console/copilot/intents'
import { mend } from '../src/console/copilot/mend'
import { suggestions } from '../src/console/copilot/suggest'
import { added } from '../src/console/editor/copilot/judging'
import { isMended, tried } from '../src/console/editor/fixes'
import type { Problem } from '../src/console/editor/judge'
import { applied } from '../src/console/edits'
import { lens } from '../src/console/lens'
import { dice } from '../src/console/testing/corpus'
import { mutant } from '../src/console/testing/mutants'
import { same } from '../src/console/values'
import { repository } from './running/program'
import { Validator } from './validating'

const CONFIGS = ['monolith', 'gateway', 'orders', 'users-products']
const BROKEN = 100
const PARTS = 4
/** Things that are wrong with one config at most. */
const MOST_WRONG = 3

const config = (name: string) => readFileSync(join(repository, `configs/${name}.yaml`), 'utf8')

let validator: Validator
test.beforeAll(() => {
  validator = new Validator()
})
test.afterAll(() => validator.end())

/** The text that a sentence leaves; it has to be understood. */
function asked(sentence: string, text: string): string {
  const model = lens(text)
  const answer = understood(sentence, model)
  if (answer.kind !== 'proposal')
    throw new Error(`${sentence}: ${answer.kind === 'refused' ? answer.message : answer.kind}`)
  return applied(text, answer.proposal.make(model).edits)
}

/** Whoever has nothing yet, a little, the shop, and a shop that never tries to ship again: each sentence means something to one of them. */
function beginnings(): string[] {
  const again = '            after: $' + '{SHIPPING_RETRY_AFTER:-30s}\n            attentionAfter: 5\n'
  return ['', asked('Add a resource notes', ''), config('monolith'), config('monolith').replace(again, '')]
}

test('every sentence that is offered makes a config that the host accepts', async () => {
  // Each is judged several times, by a program that is started for it.
  test.setTimeout(900_000)
  const texts: [string, Problem[]][] = []
  for (const text of beginnings()) texts.push([text, text === '' ? [] : await validator.problems(text)])
  const wrong: Record<string, string[]> = {}
  for (const sentence of [...EXAMPLES, ...CHIPS]) {
    const fitting = texts.filter(([text]) => understood(sentence, lens(text)).kind === 'proposal')
    expect(fitting, sentence).not.toEqual([])
    for (const [text, was] of fitting) {
      const is = await validator.problems(asked(sentence, text))
      const brought = added(was, is).filter((one) => one.severity === 'error' && !isLeft(one))
      if (brought.length > 0) wrong[sentence] = brought.map(({ message }) => message)
    }
  }
  expect(wrong).toEqual({})
})

/** What a person is told that it is left to them: the file of a new component. */
function isLeft({ code }: Problem): boolean {
  return code === 'missing-file'
}

test('what is suggested brings no problem, and is not suggested again', async () => {
  let tried = 0
  for (const name of CONFIGS) {
    const text = config(name)
    const before = await validator.problems(text)
    for (const { title, make } of suggestions(lens(text))) {
      if (!make) continue
      tried += 1
      const after = applied(text, make(lens(text)).edits)
      expect(added(before, await validator.problems(after)), `${name}: ${title}`).toEqual([])
      expect(
        suggestions(lens(after)).map((one) => one.title),
        name,
      ).not.toContain(title)
    }
  }
  expect(tried).toBeGreaterThan(0)
})

/** A config in which a few things are wrong. */
function broken(number: number): { text: string; whole: string } {
  const whole = config(CONFIGS[number % CONFIGS.length] ?? '')
  const roll = dice(number)
  let text = whole
  for (let left = 1 + (number % MOST_WRONG); left > 0; left--) {
    const next = mutant(text, roll(1 << 20)).text
    if (!lens(next).readOnly) text = next
  }
  return { text, whole }
}

/** How many middlewares and roles each route has. */
function guards(text: string): [number, number][] {
  const { workflows } = lens(text).source.value as { workflows?: { http?: { routes?: Record<string, unknown>[] } } }
  const routes = workflows?.http?.routes
  return Array.isArray(routes) ? routes.map((route) => [length(route?.middlewares), length(route?.roles)]) : []
}

const length = (value: unknown) => (Array.isArray(value) ? value.length : 0)

/** What became of some broken configs. */
interface Tally {
  problems: number
  mended: number
  /** Problems that are left, and have a fix that a person may choose. */
  offered: number
  configs: number
  whole: number
  asBefore: number
}

async function mendOne(number: number, tally: Tally): Promise<void> {
  const { text, whole } = broken(number)
  const problems = await validator.problems(text)
  if (problems.length === 0) return
  const mended = await mend(lens(text), problems, (one) => validator.problems(one))
  if (!mended) throw new Error('nobody has ended it')
  for (const { problem, fix, before, after } of mended.steps) {
    const [was, is] = [await validator.problems(before), await validator.problems(after)]
    const which = `${number}: ${fix} for ${problem.message}`
    expect(isMended(problem, was, is), which).toBe(true)
    expect(added(was, is), which).toEqual([])
    // What is mended opens no route.
    const now = guards(after)
    for (const [index, [middlewares, roles]] of guards(before).entries()) {
      expect(now[index]?.[0], which).toBeGreaterThanOrEqual(middlewares)
      expect(now[index]?.[1], which).toBeGreaterThanOrEqual(roles)
    }
  }
  expect(await validator.problems(mended.text)).toEqual(mended.left)
  tally.configs += 1
  tally.problems += problems.length
  tally.mended += problems.length - mended.left.length
  const [first] = mended.left
  if (first && (await tried(lens(mended.text), first, mended.left, (one) => validator.problems(one))).length > 0)
    tally.offered += 1
  if (first) return
  tally.whole += 1
  if (same(lens(mended.text).source.value, lens(whole).source.value)) tally.asBefore += 1
}

for (let part = 0; part < PARTS; part++) {
  test(`of ${BROKEN} broken configs the copilot mends what leaves no choice, part ${part + 1} of ${PARTS}`, async () => {
    // Each is judged many times, by a program that is started for it.
    test.setTimeout(1_800_000)
    const tally: Tally = { problems: 0, mended: 0, offered: 0, configs: 0, whole: 0, asBefore: 0 }
    for (let number = part; number < BROKEN; number += PARTS) await mendOne(number, tally)
    const { problems, mended, offered, configs, whole, asBefore } = tally
    const helped = whole + offered
    console.log(
      `${mended} of ${problems} problems mended without a choice; of ${configs} configs ${whole} are whole again, ${asBefore} as they were, and for ${offered} of the others a choice is offered: ${Math.round((100 * helped) / configs)} %`,
    )
    expect(mended).toBeGreaterThan(0)
    expect(helped / configs).toBeGreaterThan(0.6)
  })
}
