/** What the first page weighs and how soon it is there, by the browser's own figures. */
import { expect, test } from './store'

/** Bytes as they travel. */
const WEIGHT_LIMIT = 100_000
const PAINT_LIMIT_MS = 1_000

test('the first page is light and soon there', async ({ page }) => {
  await page.addInitScript(() => {
    new PerformanceObserver((list) => {
      Object.assign(window, { largestPaint: list.getEntries().at(-1)?.startTime })
    }).observe({ type: 'largest-contentful-paint', buffered: true })
  })
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(8)
  await page.mouse.wheel(0, 3000)
  await page.waitForLoadState('networkidle')
  const loaded = await page.evaluate(() => {
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    return (entries as PerformanceResourceTiming[]).map(({ name, encodedBodySize }) => ({
      name,
      bytes: encodedBodySize,
    }))
  })
  const weight = loaded.reduce((sum, { bytes }) => sum + bytes, 0)
  const paint = await page.evaluate(() => (window as unknown as { largestPaint: number }).largestPaint)
  console.log(
    `first page: ${weight} bytes in ${loaded.length} answers, largest contentful paint after ${Math.round(paint)} ms`,
  )
  expect(weight).toBeLessThan(WEIGHT_LIMIT)
  expect(paint).toBeLessThan(PAINT_LIMIT_MS)
})

test('what carries its content in its name is kept for ever, the page never', async ({ request }) => {
  const index = await request.get('/')
  expect(index.headers()['cache-control']).toBe('no-cache')
  expect(index.headers()['content-security-policy']).toContain("script-src 'self'")
  const script = (await index.text()).match(/src="(\/assets\/[^"]+)"/)?.[1] ?? ''
  const asset = await request.get(script)
  expect(asset.headers()['cache-control']).toContain('immutable')
  expect(asset.headers()['content-encoding']).toBeTruthy()
})
