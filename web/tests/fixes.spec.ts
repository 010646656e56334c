/** Configs with one thing wrong: what the editor says of them is what the host says, and what it offers to do about it holds. No page is opened. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { isMended, outcome, tried } from '../src/console/editor/fixes'
import { told } from '../src/console/editor/host'
import type { Problem } from '../src/console/editor/judge'
import { placed } from '../src/console/editor/problems'
import { lens } from '../src/console/lens'
import { mutant } from '../src/console/testing/mutants'
import { repository } from './running/program'
import { Validator } from './validating'

const CONFIGS = ['monolith', 'gateway', 'orders', 'users-products']
const MUTANTS = 500
const PARTS = 5

let validator: Validator
test.beforeAll(() => {
  validator = new Validator()
})
test.afterAll(() => validator.end())

class Tally {
  readonly #codes = new Map<string, { seen: number; mended: number }>()
  readonly left: string[] = []

  count({ code, pointer, message, help }: Problem, isMended: boolean): void {
    const { seen, mended } = this.#codes.get(code) ?? { seen: 0, mended: 0 }
    this.#codes.set(code, { seen: seen + 1, mended: mended + (isMended ? 1 : 0) })
    if (!isMended) this.left.push(`${code} at ${pointer}: ${message} ${help}`)
  }

  get share(): number {
    const all = [...this.#codes.values()]
    return all.reduce((sum, one) => sum + one.mended, 0) / all.reduce((sum, one) => sum + one.seen, 0)
  }

  toString(): string {
    return [...this.#codes].map(([code, { seen, mended }]) => `${code} ${mended}/${seen}`).join(', ')
  }
}

/** The same words at the same place, in the text as the editor counts it. */
async function agreed(text: string, where: string): Promise<Problem[]> {
  const said = (await validator.verdict(text)) as { line: number; column: number }[]
  const { source } = lens(text)
  return said.map((one) => {
    const shown = placed(told(one), text)
    expect(source.position(shown.from), where).toEqual({ line: one.line, column: one.column })
    return shown
  })
}

for (let part = 0; part < PARTS; part++) {
  test(`of ${MUTANTS} configs with something wrong, part ${part + 1} of ${PARTS}`, async () => {
    // Each is judged several times, by a program that is started for it.
    test.setTimeout(1_800_000)
    const tally = new Tally()
    for (let number = part; number < MUTANTS; number += PARTS) {
      const name = CONFIGS[number % CONFIGS.length] ?? ''
      const { text, kind, path } = mutant(readFileSync(join(repository, `configs/${name}.yaml`), 'utf8'), number)
      const shown = await agreed(text, `${kind} ${path.join('.')}`)
      const [first] = shown
      if (!first) continue
      const model = lens(text)
      const fixes = await tried(model, first, shown, (one) => validator.problems(one))
      tally.count(first, fixes.length > 0)
      for (const fix of fixes) {
        const after = await validator.problems(outcome(model, fix) ?? '')
        expect(isMended(first, shown, after), `${fix.label} for ${first.message}`).toBe(true)
      }
    }
    console.log(`with a fix: ${Math.round(tally.share * 100)} %: ${tally}`)
    if (process.env.FIXES_LEFT) console.log(tally.left.join('\n'))
    expect(tally.share).toBeGreaterThan(0.7)
  })
}
