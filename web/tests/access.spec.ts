/** Every page, in both themes, on a phone and on a desk: axe finds nothing; nothing has to be scrolled sideways, however large it is shown. */
import type { Locator, Page } from '@playwright/test'
import { addToCart, buy, expect, expectNoViolations, fillAddress, logIn, settled, test } from './store'

const PHONE = { width: 360, height: 740 }
const DESK = { width: 1280, height: 900 }

for (const [device, viewport] of [
  ['phone', PHONE],
  ['desk', DESK],
] as const) {
  test(`axe finds nothing on any page, light or dark, on a ${device}`, async ({ visitor }) => {
    test.setTimeout(300_000)
    const page = await visitor({ viewport, reducedMotion: 'reduce' })
    await everyPage(page, async () => {
      await expectNoViolations(page)
      await page.emulateMedia({ colorScheme: 'dark' })
      // Only colours differ in the dark.
      await expectNoViolations(page, { rules: ['color-contrast'] })
      await page.emulateMedia({ colorScheme: 'light' })
    })
  })
}

test('every page fits, from the smallest phone to text of twice the size', async ({ visitor }) => {
  test.setTimeout(300_000)
  const page = await visitor({ reducedMotion: 'reduce' })
  await everyPage(page, async () => {
    // 320 is also a desk's window at four times the size, 640 at twice.
    for (const width of [320, 640, 820, DESK.width]) {
      await page.setViewportSize({ width, height: DESK.height })
      await expectNoSideways(page, `${width} wide`)
    }
    await withStyle(page, LARGE, () => expectNoSideways(page, LARGE))
    await withStyle(page, SPACED, () => expectNoSideways(page, SPACED))
    await page.setViewportSize(PHONE)
    await withStyle(page, LARGE, async () => {
      await expectNoSideways(page, 'large letters on a phone')
      expect(await page.evaluate(brokenWords), `${page.url()}: words in pieces`).toEqual([])
    })
    for (const viewport of [PHONE, DESK]) {
      await page.setViewportSize(viewport)
      await page.evaluate(() => document.documentElement.setAttribute('dir', 'rtl'))
      await expectNoSideways(page, 'right to left')
      expect(await page.evaluate(linesOverTimes), 'right to left').toBe(0)
      await page.evaluate(() => document.documentElement.removeAttribute('dir'))
      expect(await page.evaluate(linesOverTimes), 'left to right').toBe(0)
    }
  })
})

test('where colours are forced, what they tell is told all the same', async ({ visitor }) => {
  for (const viewport of [PHONE, DESK]) {
    const page = await visitor({ viewport, forcedColors: 'active', reducedMotion: 'reduce' })
    await logIn(page)
    await page.goto('/')
    const [everything, other] = [page.locator('.chip').first(), page.locator('.chip').nth(1)]
    const background = (chip: Locator) => chip.evaluate((each) => getComputedStyle(each).backgroundColor)
    const differ = () =>
      expect(async () => expect(await background(everything)).not.toBe(await background(other))).toPass({
        timeout: 20_000,
      })
    await differ()
    await other.click()
    await differ()
    await page.locator('.quick-add').first().click()
    await expectBorder(page.locator('.toast'))
    await expectNoViolations(page)
    await buy(page, { payment: 'Empty account' })
    await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
    await expectBorder(page.locator('.callout'))
    await expectBorder(page.locator('.order-status'))
    // The stream is as far as it has come.
    const stream = (stage: string) =>
      page
        .locator(`.stage[data-status=${stage}]`)
        .first()
        .evaluate((each) => getComputedStyle(each, '::after').borderInlineStartWidth)
    expect(await stream('done')).not.toBe(await stream('waiting'))
    await expectNoViolations(page)
  }
})

async function expectBorder(shown: Locator) {
  const [width, colour, around] = await shown.evaluate((each) => {
    const { borderTopWidth, borderTopColor, backgroundColor } = getComputedStyle(each)
    return [borderTopWidth, borderTopColor, backgroundColor]
  })
  expect(Number.parseFloat(width ?? '')).toBeGreaterThan(0)
  expect(colour).not.toBe(around)
}

for (const [device, viewport] of [
  ['phone', PHONE],
  ['desk', { ...DESK, height: 600 }],
] as const) {
  test(`what has the focus is seen, on a ${device}`, async ({ visitor }) => {
    test.setTimeout(300_000)
    const page = await visitor({ viewport, reducedMotion: 'reduce' })
    await everyPage(page, async () => {
      // A message may lie over something; this sends it away.
      await page.keyboard.press('Escape')
      await expect(page.locator('.toast')).toHaveCount(0)
      await page.evaluate(() => {
        window.scrollTo(0, 0)
        document.querySelector<HTMLElement>('.skip-link')?.focus()
      })
      const reached = new Set<string>()
      for (let turn = 0; turn < 60; turn++) {
        await page.keyboard.press('Tab')
        await settled(page)
        const { name, isHidden, hasRing } = await page.evaluate(focused)
        if (name === '' || reached.has(name)) break
        reached.add(name)
        expect(isHidden, `${page.url()}: ${name} is covered`).toBe(false)
        expect(hasRing, `${page.url()}: ${name} shows no focus`).toBe(true)
      }
      expect(reached.size).toBeGreaterThan(4)
    })
  })
}

test('a message covers nothing but the header, however long it is and however large it is shown', async ({
  visitor,
}) => {
  const page = await visitor({ viewport: PHONE, reducedMotion: 'reduce' })
  await page.route('**/api/products/prod-001', async (route) => {
    const answer = await route.fetch()
    const product = await answer.json()
    product.data.name = 'Mechanical Keyboard with a name that is longer than any other in the whole store'
    await route.fulfill({ json: product })
  })
  for (const [how, viewport, style] of [
    ['as it is', PHONE, ''],
    ['the page at twice the size', { width: PHONE.width / 2, height: PHONE.height / 2 }, ''],
    ['letters of twice the size', PHONE, LARGE],
    ['a desk at twice the size', { width: 640, height: 450 }, ''],
    ['a desk', DESK, ''],
  ] as const) {
    await page.setViewportSize(viewport)
    await page.goto('/#/product/prod-001')
    await withStyle(page, style, async () => {
      await page.getByRole('button', { name: 'Add to Cart' }).click()
      await expect(page.locator('.toast')).toBeVisible()
      await settled(page)
      const lowest = (query: string) => page.locator(query).evaluate((each) => each.getBoundingClientRect().bottom)
      expect(await lowest('.toast'), how).toBeLessThanOrEqual(await lowest('.site-header'))
      await page.getByRole('button', { name: 'Dismiss' }).click()
    })
  }
})

test('who wants less motion gets none', async ({ visitor }) => {
  const page = await visitor({ reducedMotion: 'reduce' })
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByText('Live', { exact: true })).toBeVisible()
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  const lasting = await page.evaluate(() =>
    document
      .getAnimations()
      .map((each) => each.effect?.getComputedTiming())
      .filter((timing) => Number(timing?.endTime) > 10),
  )
  expect(lasting).toEqual([])
})

/** Looks at each page in each of its states. */
async function everyPage(page: Page, look: () => Promise<unknown>) {
  const check = async () => {
    await settled(page)
    await look()
  }
  for (const path of [
    '/#/',
    '/#/product/prod-001',
    '/#/product/nothing',
    '/#/cart',
    '/#/login',
    '/#/register',
    '/#/nowhere',
  ]) {
    await page.goto(path)
    await expect(page.locator('h1')).toBeVisible()
    await check()
  }
  await page.getByRole('link', { name: 'Login' }).click()
  await page.getByLabel('Email').fill('nobody@example.com')
  await page.getByLabel('Password').fill('nobody-knows')
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page.locator('.toast-error')).toBeVisible()
  await check()

  await logIn(page)
  await page.reload()
  // Whoever is logged in is led away from the login first.
  await expect(page).toHaveURL(/#\/$/)
  for (const path of ['/#/orders', '/#/profile']) {
    await page.goto(path)
    await expect(page.locator('h1')).toBeVisible()
    await check()
  }
  await addToCart(page, 'prod-001', 'Mechanical Keyboard')
  await page.goto('/#/cart')
  await page.getByLabel('Quantity of Mechanical Keyboard').fill('9999')
  await check()
  await page.goto('/#/checkout')
  await fillAddress(page)
  await page.getByText('Codes that make the carrier fail').click()
  await check()
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByRole('heading', { name: 'Inventory Check Failed' })).toBeVisible()
  await check()
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  await page.getByText('Everything that happened').click()
  await check()
  await page.getByRole('button', { name: 'Cancel order' }).click()
  await expect(page.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
  await check()
  await buy(page, { zip: '00000' })
  await expect(page.getByRole('heading', { name: 'Shipping Failed' })).toBeVisible()
  await check()
  await buy(page)
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await check()
  await page.goto('/#/orders')
  await expect(page.locator('.order-card')).toHaveCount(4)
  await check()
}

async function expectNoSideways(page: Page, how: string) {
  const { root, inner } = await page.evaluate(() => ({
    root: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    inner: [...document.querySelectorAll('main *')]
      .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
      .filter((each) => !each.closest('.chips, .sr-only'))
      .map((each) => `${each.tagName}.${each.getAttribute('class')}`),
  }))
  expect({ root, inner }, `${page.url()}, ${how}`).toEqual({ root: 0, inner: [] })
}

const LARGE = 'html { font-size: 200% }'
const SPACED = '* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }'

async function withStyle(page: Page, style: string, look: () => Promise<unknown>) {
  await page.evaluate((css) => {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(css)
    document.adoptedStyleSheets = [sheet]
  }, style)
  await look()
  await page.evaluate(() => {
    document.adoptedStyleSheets = []
  })
}

/** Words that begin in one line and end in another, as far as they are short enough for any line; letters within a number are none. */
function brokenWords(): string[] {
  const found: string[] = []
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (text.parentElement?.closest('.sr-only, noscript, style, code, select')) continue
    for (const { 0: word, index } of (text.textContent ?? '').matchAll(/(?<![\p{L}\d_])\p{L}{2,12}(?![\p{L}\d_])/gu)) {
      const range = document.createRange()
      range.setStart(text, index)
      range.setEnd(text, index + word.length)
      const tops = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)))
      if (tops.size > 1) found.push(word)
    }
  }
  return found
}

/** How many of an order's stages have the stream run through what stands beside it. */
function linesOverTimes(): number {
  return [...document.querySelectorAll('.stage:not(:last-child)')].filter((stage) => {
    const line = getComputedStyle(stage, '::before')
    const left = stage.getBoundingClientRect().left + Number.parseFloat(line.left)
    const right = left + Number.parseFloat(line.width)
    return [...stage.querySelectorAll('.stage-time, .stage-label, .stage-note, .stage-facts')].some((each) => {
      const box = each.getBoundingClientRect()
      return box.left < right && box.right > left
    })
  }).length
}

/** What has the focus, whether something lies over its middle, and whether it looks focused. */
function focused() {
  const element = document.activeElement
  if (!element || element === document.body) return { name: '', isHidden: false, hasRing: true }
  const box = element.getBoundingClientRect()
  const middle: [number, number] = [box.x + box.width / 2, box.y + box.height / 2]
  const top = document.elementFromPoint(...middle)
  const isHidden = !top || !(element.contains(top) || top.contains(element) || element.parentElement?.contains(top))
  // A card shows the focus of the link that fills it.
  const ring = [element, element.closest('li')].some((each) => each && getComputedStyle(each).outlineStyle !== 'none')
  const name = `${element.tagName} ${element.getAttribute('aria-label') ?? element.id} ${element.textContent?.slice(0, 40)} ${Math.round(box.y + scrollY)} ${Math.round(box.x)}`
  return { name, isHidden, hasRing: ring }
}
