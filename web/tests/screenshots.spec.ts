/** Takes the pictures in docs/screenshots: every page of the store and of its admin, light and dark, phone and desktop. `npm run screenshots` */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Page } from '@playwright/test'
import { node, properties, tool } from './editing'
import { consoleOf, declined, enter, paid } from './operator'
import { repository } from './running/program'
import { newMember, signIn } from './staff'
import { buy, expect, fillAddress, logIn, newCustomer, settled, test } from './store'

const folder = resolve(import.meta.dirname, '../../docs/screenshots')
mkdirSync(folder, { recursive: true })

const WIDTHS = {
  desktop: { width: 1280, height: 860 },
  tablet: { width: 820, height: 1100 },
  phone: { width: 390, height: 844 },
}
/** Another version than the one that serves. */
const NEW = join(process.env.COMPONENTS_DIR ?? join(repository, 'target/components'), 'payment-v2.wasm')
const CART = [
  ['prod-001', 'Mechanical Keyboard', 149.99, 'electronics', 'Electronics', 1],
  ['prod-005', 'Desk Mat', 34.99, 'accessories', 'Accessories', 2],
  ['prod-008', 'IDE License Pro', 9.99, 'software', 'Software', 1],
] as const

for (const theme of ['light', 'dark'] as const) {
  for (const [device, viewport] of Object.entries(WIDTHS)) {
    test(`${theme} on a ${device}`, async ({ visitor }) => {
      test.setTimeout(180_000)
      const page = await visitor({ viewport, colorScheme: theme, reducedMotion: 'reduce' })
      const shoot = (name: string) => shot(page, `${name}-${theme}-${device}`)

      await page.goto('/#/')
      await expect(page.locator('.product-card')).toHaveCount(8)
      await shoot('catalogue')
      await page.goto('/#/product/prod-001')
      await shoot('product')
      await page.goto('/#/cart')
      await shoot('cart-empty')
      await page.goto('/#/login')
      await shoot('login')
      await page.goto('/#/register')
      await shoot('register')

      await page.goto('/#/nowhere')
      await shoot('missing')

      const email = `ada.lovelace.${theme}.${device}@example.com`
      await logIn(page, { ...newCustomer(), name: 'Ada Lovelace', email })
      await page.reload()
      await page.goto('/#/')
      await fillCart(page)
      await page.goto('/#/cart')
      await expect(page.locator('.cart-item')).toHaveCount(3)
      await shoot('cart')
      await page.goto('/#/checkout')
      await fillAddress(page)
      await page.getByLabel('ZIP Code').blur()
      await shoot('checkout')
      await page.getByRole('button', { name: 'Place Order' }).click()
      await expect(page.locator('.order-status')).toHaveText('delivered')
      await shoot('order-delivered')

      // The bank is slow, and the machine may be slower.
      await expect(async () => {
        await buy(page, { payment: 'Slow bank' })
        await expect(page.getByText('Live', { exact: true })).toBeVisible()
        await shoot('order-live')
        await expect(page.locator('.order-status')).toHaveText('paying', { timeout: 1 })
      }).toPass()
      await buy(page, { payment: 'Empty account' })
      await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
      await shoot('order-declined')
      await page.getByRole('button', { name: 'Cancel order' }).click()
      await expect(page.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
      await shoot('order-cancelled')
      await buyTooMany(page)
      await shoot('order-out-of-stock')
      await page.goto('/#/orders')
      await expect(page.locator('.order-card').nth(3)).toBeVisible()
      await shoot('orders')
      await page.goto('/#/profile')
      await shoot('profile')
    })
  }
}

for (const theme of ['light', 'dark'] as const) {
  for (const device of ['desktop', 'phone'] as const) {
    test(`the admin, ${theme} on a ${device}`, async ({ visitor, store }) => {
      test.setTimeout(300_000)
      const shopper = await visitor()
      await logIn(shopper)
      await shopper.goto('/')
      for (const payment of ['Visa 4242', 'Empty account', 'Visa 4242']) await buy(shopper, { payment })
      const id = shopper.url().replace(/^.*\/orders\//, '')
      await expect(shopper.locator('.order-status')).toHaveText('delivered')

      const page = await visitor({ viewport: WIDTHS[device], colorScheme: theme, reducedMotion: 'reduce' })
      const shoot = async (name: string) => {
        await expect(page.locator('h1')).toBeVisible()
        await shot(page, `admin-${name}-${theme}-${device}`)
      }
      await page.goto('/admin/')
      await shoot('login')
      await signIn(page, await newMember(store, 'support', 'catalogue', 'finance', 'admin'))
      await shoot('overview')
      for (const path of ['orders', 'products', 'products/import', 'stock', 'people', 'audit', 'account']) {
        await page.goto(`/admin/#/${path}`)
        await shoot(path.replace('/', '-'))
      }
      await page.goto('/admin/#/products/prod-001')
      await shoot('product')
      await page.goto('/admin/#/stock/prod-001')
      await shoot('ledger')
      await page.goto(`/admin/#/orders/${id}`)
      await shoot('order')
      await page.getByRole('button', { name: 'Refund…' }).click()
      await settled(page)
      await page.screenshot({ path: resolve(folder, `admin-refund-${theme}-${device}.png`) })
    })
  }
}

for (const theme of ['light', 'dark'] as const) {
  for (const device of ['desktop', 'phone'] as const) {
    test(`the console, ${theme} on a ${device}`, async ({ visitor, store }) => {
      test.setTimeout(300_000)
      const page = await visitor({ viewport: WIDTHS[device], colorScheme: theme, reducedMotion: 'reduce' })
      const done = await paid(store)
      const id = await declined(store)
      await enter(page, store, 'operator', 'designer', 'admin')
      for (const [name, path] of [
        ['instances', '/instances'],
        ['instance', `/instances/orders/${id}`],
        ['timeline', `/instances/orders/${done}?view=timeline`],
        ['waiting', '/waiting'],
        ['components', '/components'],
        ['component', '/components/payment-processor'],
        ['audit', '/audit'],
      ] as const) {
        await page.goto(consoleOf(store, path))
        await expect(page.locator('h1')).toBeVisible()
        await shot(page, `console-${name}-${theme}-${device}`)
      }
      const asked = async (name: string) => {
        await settled(page)
        await page.screenshot({ path: resolve(folder, `console-${name}-${theme}-${device}.png`) })
      }
      await page.goto(consoleOf(store, `/instances/orders/${id}`))
      await page.getByRole('button', { name: 'Hold' }).click()
      await asked('hold')
      await page.goto(consoleOf(store, '/instances?state=payment_failed'))
      await page.getByRole('button', { name: 'Act on all of these…' }).click()
      await expect(page.getByText(/instances? fits?:/)).toBeVisible()
      await asked('bulk')
      await page.goto(consoleOf(store, '/components/payment-processor'))
      await page.getByLabel('Component file').setInputFiles(NEW)
      await page.getByRole('button', { name: 'Compare…' }).click()
      await page.getByRole('button', { name: 'Compare them' }).click()
      await expect(page.getByText('were answered alike')).toBeVisible()
      await asked('compare')
      await page.keyboard.press('Escape')
      await page.getByRole('button', { name: 'Canary…' }).click()
      await page.getByLabel('Percent of the new visits').fill('50')
      await page.getByLabel('Reason').fill('Is it as good?')
      await asked('canary-begin')
      await page.getByRole('button', { name: 'Begin it' }).click()
      const canary = page.getByRole('region', { name: 'Canary' })
      for (let orders = 0; orders < 4; orders += 1) await paid(store)
      await expect(canary.getByRole('row', { name: 'what serves' }).getByRole('cell').nth(1)).not.toHaveText('0')
      await shot(page, `console-canary-${theme}-${device}`)
      await canary.getByRole('button', { name: 'Stop it…' }).click()
      await page.getByLabel('Reason').fill('Seen enough')
      await page.getByRole('dialog').getByRole('button', { name: 'Stop it' }).click()
      await expect(page.getByRole('region', { name: 'The last canary' })).toBeVisible()
    })
  }
}

for (const theme of ['light', 'dark'] as const) {
  test(`the editor, ${theme}`, async ({ visitor, store }) => {
    const page = await visitor({ viewport: WIDTHS.desktop, colorScheme: theme, reducedMotion: 'reduce' })
    await declined(store)
    await enter(page, store, 'admin')
    await page.goto(consoleOf(store))
    await tool(page, 'Load Server').click()
    await expect(node(page, 'spa')).toBeVisible()
    const picture = async (name: string) => {
      await settled(page)
      const path = resolve(folder, `${name}-${theme}-desktop.png`)
      await page.screenshot({ path, style: '#toast-container { display: none }' })
    }
    await node(page, 'orders-api').click()
    await tool(page, 'Text').click()
    await expect(page.locator('.cm-chosen').first()).toBeVisible()
    await picture('editor')
    if (theme === 'dark') return
    await tool(page, 'Text').click()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('pay')
    await picture('editor-find')
    await page.keyboard.press('Escape')
    await tool(page, 'AI Copilot').click()
    await page
      .getByRole('region', { name: 'AI Copilot' })
      .getByRole('textbox')
      .fill('Add an approval by a person between validated and paying')
    await page.keyboard.press('Control+Enter')
    await expect(page.getByRole('button', { name: 'Apply', exact: true })).toBeEnabled()
    await picture('editor-copilot')
    await tool(page, 'AI Copilot').click()
    await page.getByRole('link', { name: 'order-processing', exact: true }).click()
    await expect(page.locator('.state-box-mark').first()).toBeVisible()
    await picture('editor-machine')
    await page.getByRole('button', { name: 'Simulate', exact: true }).click()
    const simulator = page.getByRole('region', { name: 'One instance, by hand' })
    await simulator.getByRole('button', { name: 'step-validate accepts' }).click()
    await simulator.getByRole('button', { name: 'step-payment refuses' }).click()
    await picture('editor-simulator')
    await page.getByRole('button', { name: 'Simulate', exact: true }).click()
    await page.getByRole('link', { name: 'Modules', exact: true }).click()
    await node(page, 'spa').click()
    await properties(page).getByLabel('Cache Max Age').fill('2h')
    await tool(page, 'Save').click()
    await expect(page.getByRole('region', { name: 'What changes' })).toBeVisible()
    await picture('editor-save')
    await page.keyboard.press('Escape')
    await tool(page, 'Undo').click()
    await tool(page, 'Container View').click()
    await expect(page.locator('.react-flow__node-container')).toBeVisible()
    await expect(page.getByRole('region', { name: 'Table of processes' })).toContainText('healthy')
    await picture('editor-processes')
    await page.goto(consoleOf(store, '/create'))
    await page.getByRole('dialog').getByLabel('Name').fill('fraud-check')
    await page.getByRole('dialog').getByLabel('On the way').selectOption('order-processing: from validated to paying')
    await page.getByRole('dialog').getByRole('button', { name: 'src/rule.rs' }).click()
    await picture('editor-create')
  })
}

async function fillCart(page: Page) {
  const lines = CART.map(([productId, name, price, image, category, quantity]) => {
    return { productId, name, price, image: `/img/${image}.svg`, category, quantity }
  })
  await page.evaluate((cart) => localStorage.setItem('cart', cart), JSON.stringify(lines))
  await page.reload()
}

async function buyTooMany(page: Page) {
  await page.goto('/#/product/prod-007')
  await page.getByLabel('Quantity of Monitor Light Bar').fill('400')
  await page.getByRole('button', { name: 'Add to Cart' }).click()
  await page.goto('/#/checkout')
  await fillAddress(page)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByRole('heading', { name: 'Inventory Check Failed' })).toBeVisible()
}

/** Without the toasts, which are not there for long. */
async function shot(page: Page, name: string) {
  const viewport = page.viewportSize()
  if (!viewport) throw new Error('a page without a size')
  await settled(page)
  // A window as high as the page, so that what keeps to its edges does.
  const height = await page.evaluate(() => document.documentElement.scrollHeight)
  await page.setViewportSize({ ...viewport, height: Math.max(height, viewport.height) })
  await page.mouse.move(0, 0)
  await settled(page)
  await page.screenshot({ path: resolve(folder, `${name}.png`), style: '#toast-container { display: none }' })
  await page.setViewportSize(viewport)
}
