/** One cart is bought once, by whom it belongs to: with two tabs, lost answers, and other people at the same computer. */
import type { Page } from '@playwright/test'
import {
  addToCart,
  api,
  buy,
  type Customer,
  expect,
  fillAddress,
  logIn,
  newCustomer,
  orderId,
  settled,
  test,
} from './store'

const ROUNDS = 200
const BLIND_ROUNDS = 20
const CART = JSON.stringify([{ productId: 'prod-008', name: 'IDE License Pro', price: 9.99, quantity: 1 }])

test('one cart that is bought from two tabs at once, with answers that are lost, is one order each time', async ({
  page,
  context,
  store,
}) => {
  test.setTimeout(600_000)
  await logIn(page)
  const other = await context.newPage()
  for (const tab of [page, other]) await tab.goto('/#/orders')
  let requests = 0
  await context.route('**/api/orders', async (route) => {
    if (route.request().method() !== 'POST') return route.continue()
    requests += 1
    // Every third answer is lost on the way, long after the store has taken the order.
    if (requests % 3 !== 0) return route.continue()
    await route.fetch()
    await route.abort('connectionreset')
  })
  const ids = new Set<string>()
  for (let round = 1; round <= ROUNDS; round++) {
    // A tab that stays at the checkout would hear of nothing that it writes itself.
    for (const tab of [page, other]) await tab.evaluate(() => location.replace('#/orders'))
    await page.evaluate((lines) => localStorage.setItem('cart', lines), CART)
    for (const tab of [page, other]) await tab.evaluate(holds, CART)
    // The same street in both tabs, or two of them.
    const ends = await Promise.all([
      page.evaluate(insistOnBuying, `1 Main St`),
      other.evaluate(insistOnBuying, `${1 + (round % 2)} Main St`),
    ])
    for (const end of ends) ids.add(end)
    expect(
      [...ids].filter((id) => id.startsWith('#/orders/order-')),
      `round ${round}: ${ends}`,
    ).toHaveLength(round)
    // What was bought has left the cart in both: tabs are processes, and hear of each other a moment later.
    for (const tab of [page, other]) await tab.evaluate(holds, '[]')
  }
  const token = await page.evaluate(() => localStorage.getItem('token') ?? '')
  expect(await api(store, token).orders()).toHaveLength(ROUNDS)
  expect(requests).toBeGreaterThan(ROUNDS)
})

test('two tabs that press at once buy once, even when neither hears in time what the other one writes', async ({
  page,
  context,
  store,
}) => {
  await context.addInitScript(withLateStorage)
  await logIn(page)
  const tabs = [page, await context.newPage()]
  for (const tab of tabs) await tab.goto('/#/orders')
  for (let round = 1; round <= BLIND_ROUNDS; round++) {
    await page.evaluate((lines) => localStorage.setItem('cart', lines), CART)
    for (const tab of tabs) await tab.evaluate(holds, CART)
    for (const tab of tabs) await tab.evaluate(() => window.hearNothing?.())
    for (const tab of tabs) {
      await tab.goto('/#/checkout')
      await fillAddress(tab)
    }
    const moment = Date.now() + 100
    await Promise.all(tabs.map((tab) => tab.evaluate(pressAt, moment)))
    for (const tab of tabs) await expect(tab).toHaveURL(/#\/orders\/order-/)
    expect(new Set(tabs.map((tab) => tab.url())).size, `round ${round}`).toBe(1)
    for (const tab of tabs) await tab.evaluate(() => window.catchUp?.())
    for (const tab of tabs) await tab.evaluate(holds, '[]')
  }
  const token = await page.evaluate(() => localStorage.getItem('token') ?? '')
  expect(await api(store, token).orders()).toHaveLength(BLIND_ROUNDS)
})

declare global {
  interface Window {
    hearNothing?: () => void
    catchUp?: () => void
  }
}

/** In a page, before its own scripts: what other tabs write into local storage can be late, as browsers allow. */
function withLateStorage() {
  const { getItem, setItem, removeItem } = Storage.prototype
  let known: Map<string, string> | undefined
  const isLate = (storage: Storage) => known !== undefined && storage === localStorage
  Storage.prototype.getItem = function (key) {
    return isLate(this) ? (known?.get(key) ?? null) : getItem.call(this, key)
  }
  Storage.prototype.setItem = function (key, value) {
    if (isLate(this)) known?.set(key, value)
    setItem.call(this, key, value)
  }
  Storage.prototype.removeItem = function (key) {
    if (isLate(this)) known?.delete(key)
    removeItem.call(this, key)
  }
  window.addEventListener('storage', (event) => known && event.stopImmediatePropagation(), true)
  window.hearNothing = () => {
    known = new Map(Object.entries(localStorage))
  }
  window.catchUp = () => {
    known = undefined
    window.dispatchEvent(new StorageEvent('storage', { key: null }))
  }
}

/** In a page: presses the button of the checkout at this moment, in milliseconds of the epoch. */
function pressAt(moment: number) {
  while (Date.now() < moment);
  document.querySelector<HTMLFormElement>('main form')?.requestSubmit()
}

/** In a page: until this is in the cart. */
async function holds(lines: string) {
  while (localStorage.getItem('cart') !== lines) await new Promise((done) => setTimeout(done, 1))
}

/** In a page: fills the checkout and presses the button until it leads to an order, or there is nothing left to buy. */
async function insistOnBuying(street: string): Promise<string> {
  const soon = () => new Promise((done) => setTimeout(done, 5))
  const values: Record<string, string> = { address: street, city: 'Portland', state: 'OR', zip: '97201' }
  location.hash = '#/checkout'
  for (;;) {
    const form = document.querySelector<HTMLFormElement>('main form')
    const isReady = form && !form.querySelector<HTMLButtonElement>('[type=submit]')?.disabled
    if (isReady) {
      for (const [name, value] of Object.entries(values))
        (form.elements.namedItem(name) as HTMLInputElement).value = value
      form.requestSubmit()
    }
    await soon()
    const isEmpty = document.querySelector('h1')?.textContent === 'Your cart is empty'
    if (location.hash.startsWith('#/orders/') || (isEmpty && location.hash === '#/checkout')) return location.hash
  }
}

test('what comes into the cart while it is bought stays in it', async ({ page, context }) => {
  await logIn(page)
  await addToCart(page, 'prod-005', 'Desk Mat')
  await page.goto('/#/checkout')
  await fillAddress(page)
  let release = () => {}
  const held = new Promise<void>((done) => {
    release = done
  })
  await page.route('**/api/orders', async (route) => {
    await held
    await route.continue()
  })
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByRole('button', { name: 'Placing your order…' })).toBeVisible()
  const other = await context.newPage()
  await other.goto('/')
  await other.getByRole('button', { name: 'Add Wireless Mouse to cart' }).click()
  release()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await expect(page.getByText('Desk Mat x1')).toBeVisible()
  await page.getByRole('link', { name: 'Cart 1' }).click()
  await expect(page.locator('.cart-item-name')).toHaveText(['Wireless Mouse'])
})

test('what was bought without an answer is not bought again with what came after it', async ({ page, store }) => {
  await logIn(page)
  await addToCart(page, 'prod-005', 'Desk Mat')
  await page.goto('/#/checkout')
  await fillAddress(page)
  await page.route('**/api/orders', async (route) => {
    await route.fetch()
    await route.abort('connectionreset')
  })
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByText('the same order can be sent again', { exact: false })).toBeFocused()
  await page.unroute('**/api/orders')
  await addToCart(page, 'prod-002', 'Wireless Mouse')
  await page.goto('/#/checkout')
  await expect(page.getByLabel('Street Address')).toHaveValue('123 Main St')
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByText('Your order from before has reached us after all', { exact: false })).toBeFocused()
  await expect(page.locator('.summary-lines')).toHaveText(/^Wireless Mouse x1/)
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  const token = await page.evaluate(() => localStorage.getItem('token') ?? '')
  const orders = await api(store, token).orders()
  const bought = orders.map(({ data }) => data.items.map(({ productId }) => productId))
  expect(bought).toEqual([['prod-002'], ['prod-005']])
})

test('a cart that another tab has changed is looked at once more', async ({ page }) => {
  await logIn(page)
  await addToCart(page, 'prod-005', 'Desk Mat')
  await page.goto('/#/checkout')
  await fillAddress(page)
  // A tab hears of nothing that it writes itself.
  await page.evaluate(() => {
    const lines = JSON.parse(localStorage.getItem('cart') ?? '')
    localStorage.setItem('cart', JSON.stringify([{ ...lines[0], quantity: 3 }]))
  })
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByText('The cart was changed in another tab.', { exact: false })).toBeFocused()
  await expect(page.getByText('Desk Mat x3')).toBeVisible()
})

test('what one customer has typed is shown to no other', async ({ page, context }) => {
  const [ada, grace] = [await logIn(page), newCustomer()]
  await page.request.post('/api/auth/register', { data: grace })
  await addToCart(page, 'prod-005', 'Desk Mat')
  await page.goto('/#/checkout')
  await fillAddress(page)
  const other = await context.newPage()
  await other.goto('/#/checkout')
  await expect(other.getByLabel('Street Address')).toHaveValue('123 Main St')

  // A session that ends keeps it for its owner.
  await page.evaluate(() => localStorage.setItem('token', 'worn-out'))
  await page.goto('/#/orders')
  await expect(page.getByText('Log in again to go on where you were.')).toBeVisible()
  await enter(page, ada)
  await page.goto('/#/checkout')
  await expect(page.getByLabel('Street Address')).toHaveValue('123 Main St')

  // Somebody else who logs in instead finds nothing in either tab, and leaves nothing of it.
  await page.evaluate(() => localStorage.setItem('token', 'worn-out'))
  await page.goto('/#/orders')
  await enter(page, grace)
  for (const tab of [page, other]) {
    await tab.goto('/#/checkout')
    await expect(tab.getByLabel('Street Address')).toHaveValue('')
  }
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain('Main St')

  // Whoever signs out in one tab has signed out in all.
  await fillAddress(other)
  await page.goto('/#/profile')
  await page.locator('#logout-btn').click()
  await expect(other).toHaveURL(/#\/login$/)
  expect(await other.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain('Main St')
  await page.getByRole('button', { name: 'Add Desk Mat to cart' }).click()
  await page.getByRole('link', { name: 'Login' }).click()
  await enter(page, ada)
  await expect(other).toHaveURL(/#\/checkout$/)
  await expect(other.getByLabel('Street Address')).toHaveValue('')
})

test('a page that one customer has left open is another one for the next', async ({ page }) => {
  await logIn(page)
  await addToCart(page, 'prod-005', 'Desk Mat')
  await page.goto('/#/checkout')
  await fillAddress(page)
  const answer = await page.request.post('/api/auth/register', { data: newCustomer() })
  const { token, user } = await answer.json()
  // Another tab has changed who is logged in before this one had a moment to look.
  await page.evaluate(
    ([token, user]) => {
      localStorage.setItem('user', user as string)
      localStorage.setItem('token', token as string)
      window.dispatchEvent(new StorageEvent('storage', { key: null }))
    },
    [token, JSON.stringify(user)],
  )
  await expect(page.getByLabel('Street Address')).toHaveValue('')
})

test('the answer to a purchase that comes after somebody else has logged in is shown to nobody', async ({
  page,
  context,
  store,
}) => {
  const grace = await registered(page)
  await logIn(page)
  const token = await tokenOf(page)
  await addToCart(page, 'prod-005', 'Desk Mat')
  await page.goto('/#/checkout')
  await fillAddress(page)
  const release = await holdAnswers(page, '**/api/orders')
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByRole('button', { name: 'Placing your order…' })).toBeVisible()
  await expect.poll(async () => (await api(store, token).orders()).length).toBe(1)
  const other = await context.newPage()
  await signOut(other)
  await expect(page).toHaveURL(/#\/login$/)
  await logInAs(other, grace)
  await expect(page).toHaveURL(/#\/checkout$/)
  await release()
  await expect(page).toHaveURL(/#\/checkout$/)
  await expect(page.locator('#toast-container')).not.toContainText('Order placed')
  await page.goto('/#/orders')
  await expect(page.getByText('You have not bought anything yet.')).toBeVisible()
})

test('an order that comes after its customer has signed out is shown to nobody', async ({ page, context }) => {
  const grace = await registered(page)
  await logIn(page)
  await buy(page)
  await expect(page.locator('.order-status')).toHaveText('delivered')
  const release = await holdAnswers(page, '**/api/orders/*')
  await page.reload()
  await expect(page.locator('.skeleton').first()).toBeVisible()
  const other = await context.newPage()
  await signOut(other)
  await expect(page).toHaveURL(/#\/login$/)
  await release()
  await expect(page.locator('.order-status')).toHaveCount(0)
  await logInAs(other, grace)
  await expect(page).toHaveURL(/#\/orders\/order-/)
  await expect(page.getByText('123 Main St')).toHaveCount(0)
  await expect(page.getByRole('heading', { level: 1 })).not.toContainText('Order #')
})

test('what happens to an order after its customer has signed out is told to nobody', async ({
  page,
  context,
  store,
}) => {
  const grace = await registered(page)
  const streams: string[] = []
  page.on('request', (request) => request.url().endsWith('/events') && streams.push('begun'))
  page.on('requestfailed', (request) => request.url().endsWith('/events') && streams.push('cut'))
  await logIn(page)
  await buy(page, { payment: 'Empty account' })
  await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
  await expect(page.getByText('Live', { exact: true })).toBeVisible()
  const { token, id } = await orderId(page)
  const other = await context.newPage()
  await signOut(other)
  await expect(page).toHaveURL(/#\/login$/)
  await expect.poll(() => streams.at(-1)).toBe('cut')
  const asked = streams.length
  await api(store, token).retry(id, 'tok_mastercard')
  await expect.poll(async () => (await api(store, token).order(id)).final).toBe(true)
  await settled(page)
  await expect(page.locator('.order-status')).toHaveCount(0)
  expect(streams).toHaveLength(asked)
  await logInAs(other, grace)
  await expect(page).toHaveURL(/#\/orders\/order-/)
  await settled(page)
  await expect(page.locator('.order-status')).toHaveCount(0)
  expect(streams).toHaveLength(asked)
})

/** Somebody else with an account. */
async function registered(page: Page): Promise<Customer> {
  const customer = newCustomer()
  await page.request.post('/api/auth/register', { data: customer })
  return customer
}

async function tokenOf(page: Page): Promise<string> {
  await page.goto('/')
  return page.evaluate(() => localStorage.getItem('token') ?? '')
}

/** The store does what is asked of it, and its answers are on the way until the returned function is called. */
async function holdAnswers(page: Page, url: string): Promise<() => Promise<void>> {
  let release = () => {}
  const released = new Promise<void>((done) => {
    release = done
  })
  const arrived: Promise<void>[] = []
  await page.route(url, (route) => {
    const answer = async () => {
      const response = await route.fetch()
      await released
      // A page that has no use for it any more has hung up.
      await route.fulfill({ response }).catch(() => {})
    }
    arrived.push(answer())
  })
  return async () => {
    release()
    await Promise.all(arrived)
    await page.unroute(url)
    await settled(page)
  }
}

async function signOut(page: Page) {
  await page.goto('/#/profile')
  await page.locator('#logout-btn').click()
  await expect(page.getByRole('link', { name: 'Login' })).toBeVisible()
}

async function logInAs(page: Page, customer: Customer) {
  await page.getByRole('link', { name: 'Login' }).click()
  await enter(page, customer)
}

test('a session that is removed by hand is over with the next page', async ({ page }) => {
  await logIn(page)
  await buy(page)
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await page.evaluate(() => localStorage.removeItem('token'))
  await page.getByRole('link', { name: 'Catalog' }).click()
  await expect(page.getByRole('link', { name: 'Login' })).toBeVisible()
  await page.goBack()
  await expect(page).toHaveURL(/#\/login$/)
})

async function enter(page: Page, { email, password }: Customer) {
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page.getByText('Welcome back!')).toBeVisible()
}
