/** Configs with one thing wrong: what the editor says of them is what the host says, and what it offers to do about it holds. No page is opened. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { isMended, outcome, tried } from '../src/console/editor/fixes'
import { told } from '../src/console/editor/host'
import type { Problem } from '../src/console/editor/judge'
import { placed } from '../src/console/editor/problems'
import { lens } from '../src/console/lens'
import { mutant } from '../src/console/testing/mutants'
import { binary, repository } from './running/program'

const CONFIGS = ['monolith', 'gateway', 'orders', 'users-products']
const MUTANTS = 500
const PARTS = 5

let folder = ''
test.beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-fixes-'))
  mkdirSync(join(folder, 'web'))
  // They are there, and not looked into.
  for (const name of ['inventory', 'payment', 'shipping', 'notify']) writeFileSync(join(folder, `${name}.wasm`), '')
})
test.afterAll(() => rmSync(folder, { recursive: true }))

let files = 0

/** What `millrace validate` says, as it says it. */
async function verdict(text: string): Promise<unknown[]> {
  files += 1
  const file = join(folder, `mutant-${files}.yaml`)
  writeFileSync(file, text)
  const env = {
    ...process.env,
    JWT_SECRET: 'a-secret-of-more-than-32-bytes-for-tests',
    INTERNAL_SECRET: 'another-secret-of-more-than-32-bytes',
    COMPONENTS_DIR: folder,
    PRODUCTS_SEED: join(repository, 'seed/products.json'),
    WEB_ROOT: join(folder, 'web'),
  }
  const output = await new Promise<string>((resolve) => {
    const words = ['validate', '--without-components', '--format', 'json', file]
    // It ends with an error where there are problems, and tells them all the same.
    execFile(binary, words, { env, encoding: 'utf8', maxBuffer: 1 << 24 }, (_, stdout) => resolve(stdout))
  })
  rmSync(file)
  return JSON.parse(output).problems
}

/** The problems of a text, as the editor shows them. */
async function problems(text: string): Promise<Problem[]> {
  return (await verdict(text)).map((one) => placed(told(one), text))
}

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
  const said = (await verdict(text)) as { line: number; column: number }[]
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
      const fixes = await tried(model, first, shown, problems)
      tally.count(first, fixes.length > 0)
      for (const fix of fixes) {
        const after = await problems(outcome(model, fix) ?? '')
        expect(isMended(first, shown, after), `${fix.label} for ${first.message}`).toBe(true)
      }
    }
    console.log(`with a fix: ${Math.round(tally.share * 100)} %: ${tally}`)
    if (process.env.FIXES_LEFT) console.log(tally.left.join('\n'))
    expect(tally.share).toBeGreaterThan(0.7)
  })
}
