/** What the pages say and do when the network, the store or the session fails: honest words, a way out, and nothing bought twice. */
import type { Page, Request } from '@playwright/test'
import { Cable } from './running/cable'
import type { RunningStore } from './running/store'
import { addToCart, api, buy, expect, fillAddress, logIn, newCustomer, orderId, test } from './store'

test('a cable that is cut under an order is found again, and the stream goes on where it broke', async ({
  visitor,
  store,
}) => {
  const cable = await Cable.lay(store.url)
  try {
    const page = await visitor({ baseURL: cable.url })
    const resumed = lastEventIds(page)
    await logIn(page)
    await buy(page, { payment: 'Empty account' })
    await expect(page.getByText('Live', { exact: true })).toBeVisible()
    const { token, id } = await orderId(page)
    const seen = (await api(store, token).order(id)).history.at(-1).seq
    cable.cut()
    await expect(page.getByText('Reconnecting', { exact: false })).toBeVisible()
    // Meanwhile it is paid from somewhere else.
    await api(store, token).retry(id, 'tok_mastercard')
    await expect.poll(async () => (await api(store, token).order(id)).state).toBe('delivered')
    await expect(page.locator('.order-status')).toHaveText('payment failed')
    await expect.poll(() => resumed).toContain(String(seen))
    cable.mend()
    await expect(page.locator('.order-status')).toHaveText('delivered')
    await expect(page.getByText('**** 4444')).toBeVisible()
    await page.getByText('Everything that happened').click()
    const { history } = await api(store, token).order(id)
    await expect(page.locator('.history li')).toHaveCount(history.length)
  } finally {
    await cable.remove()
  }
})

test('a store that crashes under an order comes back, and so does the page', async ({ visitor, startOwn }) => {
  const store = await startOwn()
  const page = await visitor({ baseURL: store.url })
  const orders = store.service('orders')
  await logIn(page)
  // It is gone before the page has heard that it took the order, and while it waits for the bank.
  await page.route('**/api/orders', async (route) => {
    const response = await route.fetch()
    await orders.kill()
    await route.fulfill({ response })
  })
  await buy(page, { payment: 'Slow bank' })
  await expect(page.getByText('Reconnecting', { exact: false })).toBeVisible()
  await orders.startAgain()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await expect(page.locator('.stage[data-status="done"]')).toHaveCount(8)
})

test('who asks too often is told when to come back', { tag: '@alike' }, async ({ visitor, startOwn }) => {
  // The next one is let through twenty seconds later: long enough for a slow machine to show the page before that.
  const store = await startOwn({ environment: { RATE_LIMIT_PER_MINUTE: '3', RATE_LIMIT_BURST: '3' } })
  const page = await visitor({ baseURL: store.url })
  await expect.poll(async () => (await page.request.get('/api/products')).status()).toBe(429)
  await page.goto('/')
  await expect(page.getByRole('heading', { name: 'The catalogue did not load' })).toBeVisible()
  await expect(page.getByText(/Try again in (one second|\d+ seconds)\./)).toBeVisible()
  await expect(async () => {
    if (await page.locator('.product-card').first().isVisible()) return
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect(page.locator('.product-card')).toHaveCount(8, { timeout: 2_000 })
  }).toPass({ timeout: 60_000 })
})

test('a session that ends at the checkout costs a login, and nothing else', async ({ visitor, startOwn }) => {
  const store = await startOwn()
  const page = await visitor({ baseURL: store.url })
  const { email, password } = await logIn(page)
  await addToCart(page, 'prod-001', 'Mechanical Keyboard')
  await page.goto('/#/checkout')
  await fillAddress(page)
  await page.getByLabel('Mastercard 4444').check()
  await endSessions(store)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page).toHaveURL(/#\/login$/)
  await expect(page.getByText('Log in again to go on where you were.')).toBeVisible()
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page).toHaveURL(/#\/checkout$/)
  await expect(page.getByLabel('Street Address')).toHaveValue('123 Main St')
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await expect(page.getByText('**** 4444')).toBeVisible()
  await page.goto('/#/orders')
  await expect(page.locator('.order-card')).toHaveCount(1)
})

test('an impatient customer buys once', async ({ page }) => {
  await logIn(page)
  await addToCart(page, 'prod-001', 'Mechanical Keyboard')
  await page.goto('/#/checkout')
  await fillAddress(page)
  const keys: (string | undefined)[] = []
  page.on('request', (request) => {
    if (request.method() === 'POST') keys.push(request.headers()['idempotency-key'])
  })
  await page.locator('form').evaluate((form: HTMLFormElement) => {
    for (let turn = 0; turn < 3; turn++) form.requestSubmit()
  })
  await expect(page).toHaveURL(/#\/orders\/order-/)
  expect(new Set(keys).size).toBe(1)
  await page.goto('/#/orders')
  await expect(page.locator('.order-card')).toHaveCount(1)
  // And the next purchase is another one, even of the same.
  await buy(page)
  expect(new Set(keys).size).toBe(2)
  await page.goto('/#/orders')
  await expect(page.locator('.order-card')).toHaveCount(2)
})

test('Back leads to where one was, and never into a login or a purchase', { tag: '@alike' }, async ({ page }) => {
  const customer = newCustomer()
  await page.request.post('/api/auth/register', { data: customer })
  await page.goto('/#/product/prod-002')
  await page.getByRole('button', { name: 'Add to Cart' }).click()
  await page.getByRole('link', { name: 'Cart 1' }).click()
  await page.getByRole('link', { name: 'Proceed to Checkout' }).click()
  await page.getByLabel('Email').fill(customer.email)
  await page.getByLabel('Password').fill(customer.password)
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page.getByRole('heading', { name: 'Checkout' })).toBeVisible()
  await page.goBack()
  await expect(page.getByRole('heading', { name: 'Your Cart' })).toBeVisible()
  await page.goForward()
  await fillAddress(page)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await page.goBack()
  await expect(page.getByText('Your cart is empty')).toBeVisible()
  await page.goForward()
  await expect(page.locator('.order-status')).toHaveText('delivered')
})

test('two tabs of one order agree, and the slower one is told why it was too late', async ({ page, context }) => {
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  const tab = await context.newPage()
  await tab.goto(page.url())
  await expect(tab.getByText('another tab is live', { exact: false })).toBeVisible()
  // Its stream and what other tabs tell are held back, so that it does not know yet.
  const late = await context.newPage()
  await late.addInitScript(() => {
    class Silent extends EventTarget {
      postMessage() {}
      close() {}
    }
    Object.assign(window, { BroadcastChannel: Silent })
  })
  await late.route('**/events', (route) => route.abort())
  await late.goto(page.url())
  await expect(late.getByRole('button', { name: 'Cancel order' })).toBeVisible()
  await late.route(/\/api\/orders\/[^/]+$/, () => {})
  await page.getByRole('button', { name: 'Cancel order' }).click()
  await expect(tab.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
  await late.unroute(/\/api\/orders\/[^/]+$/)
  await late.getByRole('button', { name: 'Try again' }).click()
  await expect(late.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
  await expect(late.locator('.callout .form-error')).toContainText('cancelled')
})

test('a page that was never opened is there without a network', { tag: '@alike' }, async ({ page, context }) => {
  await logIn(page)
  const loaded = ['CartPage', 'ProfilePage'].map((name) =>
    page.waitForResponse(new RegExp(`assets/${name}-[^/]*\\.js$`)),
  )
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(8)
  await Promise.all(loaded)
  await context.setOffline(true)
  await page.getByRole('link', { name: 'Cart' }).click()
  await expect(page.getByText('Your cart is empty')).toBeVisible()
  await page.getByRole('link', { name: 'Profile' }).click()
  await expect(page.getByRole('heading', { name: 'Your Profile' })).toBeVisible()
})

test('a page whose code does not come says why, and is tried again', { tag: '@alike' }, async ({
  visitor,
  startOwn,
}) => {
  const store = await startOwn()
  const page = await visitor({ baseURL: store.url })
  const code = /assets\/CartPage-[^/]*\.js$/
  await page.route(code, (route) => route.abort('connectionreset'))
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(8)
  await page.getByRole('link', { name: 'Cart' }).click()
  await expect(page.getByRole('heading', { name: 'This page did not load' })).toBeVisible()
  await expect(page.getByText('Something went wrong on the way.', { exact: false })).toBeVisible()

  await page.route(/\/$/, (route) => route.fulfill({ body: '<script type="module" src="/assets/other.js"></script>' }))
  await page.getByRole('button', { name: 'Load it again' }).click()
  await expect(page.getByText('There is a new version of the store.')).toBeVisible()
  await page.unroute(/\/$/)

  await store.service('gateway').kill()
  await page.getByRole('link', { name: 'Catalog' }).click()
  await page.getByRole('link', { name: 'Cart' }).click()
  await expect(page.getByText('The store does not answer at the moment.', { exact: false })).toBeVisible()
  await store.service('gateway').startAgain()
  await page.unroute(code)
  await page.getByRole('button', { name: 'Load it again' }).click()
  await expect(page.getByText('Your cart is empty')).toBeVisible()
})

test('while a slow network brings the products, their places are kept', { tag: '@alike' }, async ({ page }) => {
  let release = () => {}
  const held = new Promise<void>((done) => {
    release = done
  })
  await page.route('**/api/products', async (route) => {
    await held
    await route.continue()
  })
  await page.goto('/')
  await expect(page.getByRole('heading', { name: 'Products' })).toBeVisible()
  await expect(page.getByRole('status')).toHaveText('Loading products')
  await expect(page.locator('.card-skeleton')).toHaveCount(8)
  release()
  // Tests beside this one may have put another on sale.
  await expect(page.locator('.product-card').nth(7)).toBeVisible()
  await expect(page.locator('.skeleton')).toHaveCount(0)
})

/** Tokens of before are of no use to a store with another secret. */
async function endSessions(store: RunningStore) {
  const programs = new Set([store.service('users-products'), store.service('orders')])
  for (const program of programs) {
    await program.kill()
    await program.startAgain({ JWT_SECRET: 'another-secret-that-makes-old-tokens-useless-0123456789' })
  }
}

/** After which events the page asked its stream to go on. */
function lastEventIds(page: Page): string[] {
  const ids: string[] = []
  page.on('request', (request: Request) => {
    const id = request.headers()['last-event-id']
    if (request.url().endsWith('/events') && id) ids.push(id)
  })
  return ids
}
