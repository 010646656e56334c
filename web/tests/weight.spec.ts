/** What the first page weighs and how soon it is there, by the browser's own figures. */
import type { Page } from '@playwright/test'
import { consoleOf } from './operator'
import { newMember, signIn } from './staff'
import { expect, test } from './store'

/** Bytes as they travel. */
const WEIGHT_LIMIT = 100_000
/** Of the admin, whose people come every day. */
const ADMIN_WEIGHT_LIMIT = 150_000
/** And of the console, without the editor. */
const CONSOLE_WEIGHT_LIMIT = 150_000
/** Of the editor, before its text is looked at. */
const EDITOR_WEIGHT_LIMIT = 280_000
const PAINT_LIMIT_MS = 1_000

/** Visits without anything kept: the best of them is what the page takes, the rest is what else the machine had to do. */
const VISITS = 3
/** As many as a machine that is busy gets until it has a moment for this. */
const MOST_VISITS = 15

/** Of all that the page has loaded. */
async function weighed(page: Page): Promise<number> {
  await page.waitForLoadState('networkidle')
  const loaded = await page.evaluate(() => {
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    return (entries as PerformanceResourceTiming[]).map(({ name, encodedBodySize }) => ({
      name,
      bytes: encodedBodySize,
    }))
  })
  return loaded.reduce((sum, { bytes }) => sum + bytes, 0)
}

async function firstVisit(page: Page) {
  await page.addInitScript(() => {
    new PerformanceObserver((list) => {
      Object.assign(window, { largestPaint: list.getEntries().at(-1)?.startTime })
    }).observe({ type: 'largest-contentful-paint', buffered: true })
  })
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(8)
  await page.mouse.wheel(0, 3000)
  const weight = await weighed(page)
  const paint = await page.evaluate(() => (window as unknown as { largestPaint: number }).largestPaint)
  return { weight, paint }
}

test('the first page is light and soon there', async ({ page, browser }) => {
  const visits = [await firstVisit(page)]
  const best = () => Math.min(...visits.map((visit) => visit.paint))
  while (visits.length < VISITS || (best() >= PAINT_LIMIT_MS && visits.length < MOST_VISITS)) {
    const context = await browser.newContext({ baseURL: new URL(page.url()).origin })
    visits.push(await firstVisit(await context.newPage()))
    await context.close()
  }
  const weight = Math.max(...visits.map((visit) => visit.weight))
  console.log(`first page: ${weight} bytes, largest contentful paint after ${Math.round(best())} ms`)
  expect(weight).toBeLessThan(WEIGHT_LIMIT)
  expect(best()).toBeLessThan(PAINT_LIMIT_MS)
})

test('the first page of the admin is light', async ({ page, store }) => {
  await signIn(page, await newMember(store, 'support', 'catalogue', 'finance', 'admin'))
  const weight = await weighed(page)
  console.log(`first page of the admin, with all that is loaded when nothing else is to do: ${weight} bytes`)
  expect(weight).toBeLessThan(ADMIN_WEIGHT_LIMIT)
})

test('the pages of the console that ask a process are light', async ({ page, store }) => {
  // A stream that never ends would be a network that is never idle.
  await page.route('**/operator/live', (route) => route.abort())
  await page.goto(consoleOf(store, '/instances'))
  await expect(page.getByRole('heading', { name: 'Instances', level: 1 })).toBeVisible()
  const weight = await weighed(page)
  console.log(`first page of the console, with all that is loaded when nothing else is to do: ${weight} bytes`)
  expect(weight).toBeLessThan(CONSOLE_WEIGHT_LIMIT)
})

test('the editor is light', async ({ page, store }) => {
  await page.route('**/operator/live', (route) => route.abort())
  await page.goto(consoleOf(store))
  await expect(page.locator('.react-flow')).toBeVisible()
  await page.waitForLoadState('networkidle')
  const weight = await page.evaluate(() => {
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    const files = (entries as PerformanceResourceTiming[]).filter(({ name }) => !name.includes('/operator/'))
    return files.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)
  })
  console.log(`the editor, with all that is loaded when nothing else is to do: ${weight} bytes`)
  expect(weight).toBeLessThan(EDITOR_WEIGHT_LIMIT)
})
