/** What Lighthouse says of the pages as a phone on a slow network meets them: the built files, from the running store. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import lighthouse from 'lighthouse'
import { throttling } from 'lighthouse/core/config/constants.js'
import { freePort } from './running/ports'
import { buy, expect, logIn, test } from './store'

/** Of 100. */
const ENOUGH = 95

/** How soon a page is there depends on what else the machine does: the middle one of five counts. */
const TRIES = 5

/** And of more, where some do not count. */
const MAX_RUNS = 10

/**
 * Lighthouse takes a phone for four times slower than the machine that it expects, which has twice the index of those of which it warns
 * (`core/gather/driver/environment.js`). On a slower machine, or a busy one, a page is computed for as much longer already.
 * See "Calibrating multipliers" in Lighthouse's docs/throttling.md.
 */
const EXPECTED_INDEX = 2_000

/** The machine is measured by the run before. A run in which it is by more than this slower was slowed down twice, and does not count. */
const AS_FAST = 0.85
const PHONE = throttling.mobileSlow4G

test('Lighthouse finds nothing to better', async ({ store, launchOptions }) => {
  test.setTimeout(1_200_000)
  const profile = mkdtempSync(join(tmpdir(), 'millrace-lighthouse-'))
  const port = await freePort()
  const browser = await chromium.launchPersistentContext(profile, {
    ...launchOptions,
    args: [...(launchOptions.args ?? []), `--remote-debugging-port=${port}`],
    baseURL: store.url,
  })
  try {
    const page = await browser.newPage()
    await logIn(page)
    await buy(page)
    await expect(page.locator('.order-status')).toHaveText('delivered')
    const order = page.url()
    await page.close()
    for (const [name, url] of [
      ['catalogue', `${store.url}/`],
      ['order', order],
    ] as const) {
      const found = await inspect(url, port)
      console.log(`Lighthouse, ${name}: ${JSON.stringify(found.scores)} (${found.measured})`)
      expect(found.complaints, name).toEqual([])
      for (const [category, score] of Object.entries(found.scores)) {
        expect(score, `${name}: ${category}`).toBeGreaterThanOrEqual(ENOUGH)
      }
    }
  } finally {
    await browser.close()
    rmSync(profile, { recursive: true, force: true })
  }
})

const CATEGORIES = ['performance', 'accessibility', 'best-practices', 'seo'] as const

type Result = NonNullable<Awaited<ReturnType<typeof lighthouse>>>['lhr']

interface Found {
  /** Of 100, by category. */
  scores: Record<string, number>
  /** What the speed is made of, in each run. */
  measured: string
  /** What is wrong with the page itself, however fast the machine is. */
  complaints: string[]
}

async function inspect(url: string, port: number): Promise<Found> {
  const runs: Result[] = []
  const calibrated: Result[] = []
  // When three of five are fast enough, so is the middle one.
  const isDecided = () => calibrated.filter((run) => percent(run, 'performance') >= ENOUGH).length > TRIES / 2
  while (calibrated.length < TRIES && runs.length < MAX_RUNS && !isDecided()) {
    const index = runs.at(-1)?.environment.benchmarkIndex ?? EXPECTED_INDEX
    const result = await run(url, port, index)
    runs.push(result)
    if (result.environment.benchmarkIndex >= AS_FAST * Math.min(index, EXPECTED_INDEX)) calibrated.push(result)
  }
  // On a machine that never is as fast as just before, all count.
  const counted = calibrated.length > TRIES / 2 ? calibrated : runs
  const fast = counted.map((run) => percent(run, 'performance')).sort((a, b) => a - b)
  const [first] = runs as [Result]
  const scores = Object.fromEntries(CATEGORIES.map((category) => [category, percent(first, category)]))
  const lasting = CATEGORIES.filter((category) => category !== 'performance')
  return {
    scores: { ...scores, performance: fast.at(-Math.ceil(fast.length / 2)) ?? 0 },
    measured: runs.map(measured).join('; '),
    complaints: lasting.flatMap((category) => failed(first, category)),
  }
}

async function run(url: string, port: number, index: number): Promise<Result> {
  const slower = PHONE.cpuSlowdownMultiplier * Math.min(1, index / EXPECTED_INDEX)
  const answer = await lighthouse(url, {
    port,
    logLevel: 'error',
    onlyCategories: [...CATEGORIES],
    throttling: { ...PHONE, cpuSlowdownMultiplier: Math.max(1, slower) },
  })
  if (!answer || answer.lhr.runtimeError) throw new Error(answer?.lhr.runtimeError?.message ?? `no report of ${url}`)
  return answer.lhr
}

function measured(result: Result): string {
  const { audits, environment } = result
  const names = ['first-contentful-paint', 'largest-contentful-paint', 'speed-index', 'total-blocking-time']
  const all = [...names, 'cumulative-layout-shift'].map((name) => `${name} ${audits[name]?.displayValue}`)
  return [percent(result, 'performance'), ...all, `machine ${Math.round(environment.benchmarkIndex)}`]
    .join(', ')
    .replaceAll('\u00a0', ' ')
}

function percent({ categories }: Result, category: string): number {
  return Math.round((categories[category]?.score ?? 0) * 100)
}

function failed({ categories, audits }: Result, category: string): string[] {
  const counted = categories[category]?.auditRefs.filter(({ weight }) => weight > 0) ?? []
  return counted
    .map(({ id }) => audits[id])
    .filter((audit) => audit && audit.score !== null && audit.score < 1)
    .map((audit) => `${category}: ${audit?.title} ${JSON.stringify(audit?.details ?? '')}`)
}
