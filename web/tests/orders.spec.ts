/** What becomes of orders, as their page shows it while it happens. */

import type { Page } from '@playwright/test'
import { newMember } from './staff'
import { addToCart, api, buy, expect, fillAddress, logIn, orderId, stage, test } from './store'

test('money that is given back is shown while the page is open', async ({ page, store }) => {
  await logIn(page)
  await buy(page)
  await expect(page.locator('.order-status')).toHaveText('delivered')
  const total = await page.locator('.order-total').innerText()
  const finance = await newMember(store, 'finance')
  const send = async (path: string, body: object, token?: string) => {
    const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) }
    const answer = await fetch(`${store.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    expect(answer.ok).toBe(true)
    return answer.json()
  }
  const { token } = await send('/api/auth/login', { email: finance.email, password: finance.password })
  await send(
    '/api/admin/refunds',
    { orderId: (await orderId(page)).id, amount: 2000, reason: 'A scratch on it' },
    token,
  )
  await expect(page.getByText(`Refunded $20.00 of ${total}`)).toBeVisible({ timeout: 30_000 })
  await expect(page.getByText('A scratch on it')).toBeVisible()
})

test('a slow bank is watched without a reload', async ({ page }) => {
  await logIn(page)
  // The page itself keeps what it showed: a look from outside may come too late for a bank that takes two seconds.
  await page.addInitScript(() => {
    const seen: string[] = []
    Object.assign(window, { seen })
    new MutationObserver(() => {
      const look = [...document.querySelectorAll('.stage')].map((one) => one.getAttribute('data-status')).join(' ')
      if (look !== '' && seen.at(-1) !== look) seen.push(look)
    }).observe(document, { subtree: true, childList: true, attributes: true })
  })
  await buy(page, { payment: 'Slow bank' })
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await expect(stage(page, 'Processing Payment')).toContainText('attempt 3')
  const seen = await page.evaluate(() => (window as unknown as { seen: string[] }).seen)
  expect(seen).toContain('done done done active waiting waiting waiting waiting')
})

test('a declined payment is paid another way', async ({ page }) => {
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  await expect(page.getByText('The card has insufficient funds for this payment.')).toBeVisible()
  await expect(stage(page, 'Processing Payment')).toHaveAttribute('data-status', 'failed')
  await page.getByLabel('Pay with').selectOption('tok_mastercard')
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await expect(page.getByText('**** 4444')).toBeVisible()
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toHaveCount(0)
  await page.getByText('Everything that happened').click()
  await expect(page.getByText('retry payment')).toBeVisible()
})

test('a bank that never answers is not said to have said no', { tag: '@alike' }, async ({ page }) => {
  await logIn(page)
  await buy(page, { payment: 'Silent bank' })
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  await expect(page.getByText('Your bank did not answer in time.')).toBeVisible()
  await expect(stage(page, 'Processing Payment')).toContainText('No answer from your bank.')
  await expect(page.getByText('Nothing was charged', { exact: false })).toHaveCount(0)
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
})

test('a declined payment is given up', async ({ page }) => {
  await logIn(page)
  await buy(page, { payment: 'Expired card' })
  await page.getByRole('button', { name: 'Cancel order' }).click()
  await expect(page.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
  await expect(page.locator('.order-status')).toHaveText('cancelled')
  await expect(stage(page, 'Shipped')).toHaveAttribute('data-status', 'stopped')
  await expect(page.getByRole('button', { name: 'Try again' })).toHaveCount(0)
})

test('a carrier that fails is tried again', async ({ page }) => {
  await logIn(page)
  await buy(page, { zip: '99997' })
  // Three attempts, two seconds and more apart.
  await expect(page.getByRole('heading', { name: 'Shipping Failed' })).toBeVisible({ timeout: 20_000 })
  await expect(stage(page, 'Payment OK')).toHaveAttribute('data-status', 'done')
  await page.getByRole('button', { name: 'Try now' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
})

test('a history of more than a page is shown to its beginning', { tag: '@alike' }, async ({ visitor, startOwn }) => {
  const store = await startOwn({ environment: { SHIPPING_RETRY_AFTER: '200ms' } })
  const page = await visitor({ baseURL: store.url })
  await logIn(page)
  await buy(page, { zip: '00000' })
  const { token, id } = await orderId(page)
  const length = async (): Promise<number> => (await api(store, token).order(id)).history.at(-1).seq
  const entries = page.locator('.history li')
  // An answer holds a hundred transitions. It goes on while the page is looked at.
  await expect.poll(length, { timeout: 60_000 }).toBeGreaterThan(110)
  await page.reload()
  await expect(stage(page, 'Shipping')).toContainText(/attempt \d+ or more/)
  await page.getByText('Everything that happened').click()
  await expect(entries.first()).not.toContainText('validating')
  // On a slow machine there are more than two pages by now.
  const before = page.getByRole('button', { name: 'Show what was before' })
  await expect(async () => {
    if (await before.isVisible()) await before.click()
    await expect(before).toHaveCount(0, { timeout: 2_000 })
  }).toPass({ timeout: 60_000 })
  await expect(entries.first()).toContainText('validating')
  await expect(stage(page, 'Shipping')).not.toContainText('or more')
  // Each transition is shown, and once: as many as there were a moment ago, and never more than there are.
  const there = await length()
  await expect.poll(() => entries.count()).toBeGreaterThanOrEqual(there)
  const shown = await entries.count()
  expect(shown).toBeLessThanOrEqual(await length())
})

test('more than there is can be wished for, and is refused without a charge', async ({ page }) => {
  await logIn(page)
  await page.goto('/#/product/prod-004')
  await page.getByLabel('Quantity of Laptop Stand').fill('9999')
  await page.getByRole('button', { name: 'Add to Cart' }).click()
  await page.goto('/#/cart')
  await expect(page.getByText(/Only \d+ left/)).toBeVisible()
  await expect(page.locator('.cart-summary-total')).toHaveText('$899,810.01')
  await page.getByRole('link', { name: 'Proceed to Checkout' }).click()
  await fillAddress(page)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByRole('heading', { name: 'Inventory Check Failed' })).toBeVisible()
  await expect(page.locator('.details').getByText('None')).toHaveCount(5)
  await page.getByRole('button', { name: 'Put it back in the cart' }).click()
  await page.getByLabel('Quantity of Laptop Stand').fill('1')
  await page.getByRole('link', { name: 'Proceed to Checkout' }).click()
  await fillAddress(page)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
})

test('what another customer was faster to buy is said, and nothing is charged', { tag: '@alike' }, async ({
  visitor,
  startOwn,
}) => {
  const last = {
    id: 'prod-001',
    data: {
      name: 'Mechanical Keyboard',
      price: 149.99,
      category: 'Electronics',
      description: 'The last.',
      image: '/img/electronics.svg',
      stock: 1,
    },
    state: 'active',
  }
  const { url: baseURL } = await startOwn({ products: [last] })
  const [first, second] = [await visitor({ baseURL }), await visitor({ baseURL })]
  for (const page of [first, second]) {
    await logIn(page)
    await addToCart(page, 'prod-001', 'Mechanical Keyboard')
    await page.goto('/#/checkout')
    await fillAddress(page)
  }
  await first.getByRole('button', { name: 'Place Order' }).click()
  await expect(first.locator('.order-status')).toHaveText('delivered')
  await second.getByRole('button', { name: 'Place Order' }).click()
  await expect(second.getByRole('heading', { name: 'Inventory Check Failed' })).toBeVisible()
  await expect(second.locator('.order-status')).toHaveText('failed')
  await expect(stage(second, 'Checking Inventory')).toHaveAttribute('data-status', 'failed')
  await expect(stage(second, 'Processing Payment')).toHaveAttribute('data-status', 'stopped')
  await second.goto('/#/product/prod-001')
  await expect(second.getByText('Sold out')).toBeVisible()
})

test('a catalogue of many pages is shown to its end, and its last product can be bought', { tag: '@alike' }, async ({
  visitor,
  startOwn,
}) => {
  const products = Array.from({ length: 250 }, (_, index) => ({
    id: `thing-${String(index + 1).padStart(3, '0')}`,
    data: {
      name: `Thing ${index + 1}`,
      price: 1,
      category: 'Things',
      description: 'One.',
      image: '',
      stock: index < 249 ? 5 : 1,
    },
    state: 'active',
  }))
  const { url: baseURL } = await startOwn({ products })
  const page = await visitor({ baseURL })
  await logIn(page)
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(200)
  await page.getByRole('button', { name: 'Show more products' }).click()
  await expect(page.locator('.product-card')).toHaveCount(250)
  await expect(page.getByRole('button', { name: 'Show more products' })).toHaveCount(0)
  await addToCart(page, 'thing-250', 'Thing 250')
  await page.reload()
  await page.goto('/#/cart')
  await expect(page.locator('.cart-summary-total')).toHaveText('$1.00')
  await expect(page.locator('.doubt')).toHaveCount(0)
  await page.getByRole('link', { name: 'Proceed to Checkout' }).click()
  await fillAddress(page)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await page.goto('/#/product/thing-250')
  await expect(page.getByText('Sold out')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Add to Cart' })).toBeDisabled()
})

test('two customers at once see their own orders', async ({ visitor }) => {
  const pages = [await visitor(), await visitor()]
  await Promise.all(
    pages.map(async (page, index) => {
      await logIn(page)
      await buy(page, { payment: index === 0 ? 'Slow bank' : 'Mastercard 4444' })
      await expect(page.locator('.order-status')).toHaveText('delivered')
      await expect(page.getByText(index === 0 ? '**** 4242' : '**** 4444')).toBeVisible()
      await page.goto('/#/orders')
      await expect(page.locator('.order-card')).toHaveCount(1)
    }),
  )
})

test('two tabs of one customer share the cart and the login', { tag: '@alike' }, async ({ page, context }) => {
  await logIn(page)
  await page.goto('/')
  const tab = await context.newPage()
  await tab.goto('/')
  await page.getByRole('button', { name: 'Add Desk Mat to cart' }).click()
  await expect(tab.getByRole('link', { name: 'Cart 1' })).toBeVisible()
  await tab.getByRole('link', { name: 'Profile' }).click()
  await tab.locator('#logout-btn').click()
  await expect(page.getByRole('link', { name: 'Login' })).toBeVisible()
})

test('twelve tabs of open orders load, share one stream, and hand it on', { tag: '@alike' }, async ({
  page,
  context,
}) => {
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByText('Live', { exact: true })).toBeVisible()
  const tabs = [page]
  while (tabs.length < 12) {
    const tab = await context.newPage()
    await tab.goto(page.url())
    await expect(tab.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
    tabs.push(tab)
  }
  const live = async () => (await Promise.all(tabs.map((tab) => tab.locator('[data-link=live]').count()))).join('')
  expect(await live()).toBe('100000000000')
  await tabs.shift()?.close()
  await expect.poll(live).toBe('10000000000')
  const [first, second] = tabs as [Page, Page]
  await second.getByRole('button', { name: 'Cancel order' }).click()
  await expect(first.locator('.order-status')).toHaveText('cancelled')
})

test('an order goes on while the customer is offline, and is caught up with afterwards', async ({
  page,
  context,
  store,
}) => {
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  const { token, id } = await orderId(page)
  await context.setOffline(true)
  await expect(page.getByText('You are offline.', { exact: false })).toBeVisible()
  await api(store, token).retry(id, 'tok_visa')
  await expect.poll(async () => (await api(store, token).order(id)).state).toBe('delivered')
  await expect(page.locator('.order-status')).toHaveText('payment failed')
  await context.setOffline(false)
  await expect(page.locator('.order-status')).toHaveText('delivered')
})

test('without the stream the order is looked at every now and then', { tag: '@alike' }, async ({ page }) => {
  await page.route('**/events', (route) => route.fulfill({ status: 503, body: '' }))
  await logIn(page)
  await buy(page, { payment: 'Slow bank' })
  await expect(page.getByText('Reconnecting', { exact: false })).toBeVisible()
  await expect(page.locator('.order-status')).toHaveText('delivered')
})

test('an answer that is lost on the way does not buy twice', async ({ page }) => {
  await logIn(page)
  await addToCart(page, 'prod-001', 'Mechanical Keyboard')
  await page.goto('/#/checkout')
  await fillAddress(page)
  let lost = 0
  await page.route('**/api/orders', async (route) => {
    if (route.request().method() !== 'POST' || lost > 0) return route.fallback()
    lost += 1
    await route.fetch()
    await route.abort('connectionreset')
  })
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByText('Nothing was bought twice', { exact: false })).toBeFocused()
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page).toHaveURL(/#\/orders\/order-/)
  await page.goto('/#/orders')
  await expect(page.locator('.order-card')).toHaveCount(1)
})

test('a price that has changed since the page was loaded is asked about', { tag: '@alike' }, async ({ page }) => {
  await logIn(page)
  // A catalogue of before: the store sells the mat for $34.99.
  await page.route('**/api/products', async (route) => {
    const answer = await route.fetch()
    const products: { id: string; data: { price: number } }[] = await answer.json()
    for (const { id, data } of products) if (id === 'prod-005') data.price = 29.99
    await route.fulfill({ json: products })
  })
  await addToCart(page, 'prod-005', 'Desk Mat')
  await page.goto('/#/cart')
  await page.locator('.qty-plus').click()
  await expect(page.locator('.cart-summary-total')).toHaveText('$59.98')
  await page.goto('/#/checkout')
  await fillAddress(page)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.price-change')).toBeFocused()
  await expect(page.locator('.price-change')).toContainText('Desk Mat: $29.99 now $34.99')
  await expect(page.locator('.price-change')).toContainText('The total is $69.98 instead of $59.98')
  await page.getByRole('button', { name: 'Place Order for $69.98' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await expect(page.locator('.order-total')).toHaveText('$69.98')
  await page.goto('/#/orders')
  await expect(page.locator('.order-card')).toHaveCount(1)
})

test('a declined payment is tried by itself, and given up at last', { tag: '@alike' }, async ({
  visitor,
  startOwn,
}) => {
  const { url: baseURL } = await startOwn({ environment: { PAYMENT_RETRY_AFTER: '1s' } })
  const page = await visitor({ baseURL })
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
  await expect(stage(page, 'Processing Payment')).toContainText('attempt 4')
  await expect(page.getByText('The payment did not go through in 4 tries.')).toBeVisible()
  await expect(page.getByText('The card has insufficient funds for this payment.')).toHaveCount(0)
})

test('a new version of the payment component is swapped in while an order waits for the bank', async ({
  visitor,
  startOwn,
}) => {
  const store = await startOwn()
  const page = await visitor({ baseURL: store.url })
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  const waiting = page.url()
  const before = version(await stage(page, 'Processing Payment').locator('.stage-facts').textContent())
  store.swap('payment', 'payment-v2.wasm')
  // The swap takes as long as compiling does; orders go on meanwhile, with the version of before.
  await expect(async () => {
    await buy(page)
    await expect(page.locator('.order-status')).toHaveText('delivered')
    expect(version(await stage(page, 'Processing Payment').locator('.stage-facts').textContent())).not.toBe(before)
  }).toPass({ timeout: 60_000 })
  // The order of before goes on with the new version.
  await page.goto(waiting)
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  const after = await stage(page, 'Processing Payment').locator('.stage-facts').textContent()
  expect(version(after)).not.toBe(before)
})

function version(facts: string | null) {
  return facts?.match(/version (\w+)/)?.[1]
}
