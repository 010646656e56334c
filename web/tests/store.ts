/** What tests of the store have in common: a running store for each worker, customers, and the ways they go. */
import { AxeBuilder } from '@axe-core/playwright'
import { type BrowserContext, type BrowserContextOptions, test as base, expect, type Page } from '@playwright/test'
import { type RunningStore, type Settings, type Shape, startStore } from './running/store'

export { expect }

interface Shared {
  /** In how many processes the store runs; a project of playwright.config.ts says it. */
  shape: Shape
  /** The store that the tests of a worker share. */
  store: RunningStore
  /** Another one, with these products, for the tests that want just them. */
  manyThings: (products: object[]) => Promise<RunningStore>
}

interface Own {
  /** A store of this test's own, which it may break. */
  startOwn: (settings?: Settings) => Promise<RunningStore>
  /** Another customer, with a browser of their own. */
  visitor: (options?: BrowserContextOptions) => Promise<Page>
}

/** Until a store is there at the latest: on a slow machine three processes and a Kafka take their time, one after the other. */
const START_MS = 300_000

// Long enough for a person, and a test, to do something before the store tries again by itself.
const PATIENT = { PAYMENT_RETRY_AFTER: '60s', SHIPPING_RETRY_AFTER: '60s' }

export const test = base.extend<Own, Shared>({
  shape: ['monolith', { option: true, scope: 'worker' }],
  store: [
    async ({ shape }, use) => {
      const store = await startStore(shape, { environment: PATIENT })
      await use(store)
      await store.stop()
    },
    { scope: 'worker', timeout: START_MS },
  ],
  manyThings: [
    async ({ shape }, use) => {
      let started: Promise<RunningStore> | undefined
      await use((products) => {
        started ??= startStore(shape, { products, environment: PATIENT })
        return started
      })
      await (await started)?.stop()
    },
    { scope: 'worker', timeout: START_MS },
  ],
  baseURL: async ({ store }, use) => use(store.url),
  context: async ({ context }, use) => {
    const complaints = listen(context)
    await use(context)
    expect(complaints).toEqual([])
  },
  visitor: async ({ browser, baseURL }, use) => {
    const contexts: BrowserContext[] = []
    const complaints: string[][] = []
    await use(async (options) => {
      const context = await browser.newContext({ ...(baseURL && { baseURL }), ...options })
      contexts.push(context)
      complaints.push(listen(context))
      return context.newPage()
    })
    await Promise.all(contexts.map((context) => context.close()))
    expect(complaints.flat()).toEqual([])
  },
  startOwn: async ({ shape }, use, testInfo) => {
    const stores: RunningStore[] = []
    await use(async ({ environment, ...settings } = {}) => {
      testInfo.setTimeout(testInfo.timeout + START_MS)
      const store = await startStore(shape, { ...settings, environment: { ...PATIENT, ...environment } })
      stores.push(store)
      return store
    })
    for (const store of stores) {
      if (testInfo.status !== testInfo.expectedStatus) await testInfo.attach('log', { body: store.log() })
      await store.stop()
    }
  },
})

/** What does not come from a network that a test has cut. */
const EXPECTED = /Failed to load resource|net::ERR|Unable to preload CSS|dynamically imported module/

/** What a page says that nobody should have to read: errors of scripts, and what its policy forbade. Calls may fail on purpose. */
function listen(context: BrowserContext): string[] {
  const complaints: string[] = []
  context.on('weberror', (error) => complaints.push(String(error.error())))
  context.on('console', (message) => {
    if (message.type() === 'error' && !EXPECTED.test(message.text())) complaints.push(message.text())
  })
  return complaints
}

export const ADDRESS = { address: '123 Main St', city: 'Portland', state: 'OR', zip: '97201' }

let customers = 0

export interface Customer {
  name: string
  email: string
  password: string
}

export function newCustomer(): Customer {
  customers += 1
  return {
    name: 'Ada Lovelace',
    email: `ada.${process.pid}.${customers}@example.com`,
    password: 'password123',
  }
}

/** Opens an account without the pages, and has the page speak for it. */
export async function logIn(page: Page, customer = newCustomer()): Promise<Customer> {
  const answer = await page.request.post('/api/auth/register', { data: customer })
  expect(answer.status()).toBe(201)
  const { token, user } = await answer.json()
  await page.addInitScript(
    ([token, user]) => {
      if (sessionStorage.getItem('prepared')) return
      sessionStorage.setItem('prepared', 'yes')
      localStorage.setItem('token', token as string)
      localStorage.setItem('user', user as string)
    },
    [token, JSON.stringify(user)],
  )
  return customer
}

export async function addToCart(page: Page, productId: string, name: string) {
  await page.goto(`/#/product/${productId}`)
  await page.getByRole('button', { name: 'Add to Cart' }).click()
  await expect(page.getByText(`${name} added to cart`)).toBeVisible()
}

export async function fillAddress(page: Page, { zip = ADDRESS.zip } = {}) {
  await page.getByLabel('Street Address').fill(ADDRESS.address)
  await page.getByLabel('City').fill(ADDRESS.city)
  await page.getByLabel('State').fill(ADDRESS.state)
  await page.getByLabel('ZIP Code').fill(zip)
}

const KEYBOARD = { id: 'prod-001', name: 'Mechanical Keyboard' }

/** Buys one through the pages, a keyboard if nothing else is named; ends on the page of the order. */
export async function buy(page: Page, { payment = 'Visa 4242', zip = ADDRESS.zip, product = KEYBOARD } = {}) {
  await addToCart(page, product.id, product.name)
  await page.goto('/#/checkout')
  await fillAddress(page, { zip })
  await page.getByLabel(payment).check()
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page).toHaveURL(/#\/orders\/order-/)
}

export function stage(page: Page, label: string) {
  return page.locator('.stage').filter({ has: page.getByText(label, { exact: true }) })
}

/** The order whose page is shown, and who may see it. */
export async function orderId(page: Page) {
  const token = await page.evaluate(() => localStorage.getItem('token') ?? '')
  return { token, id: page.url().replace(/^.*\/orders\//, '') }
}

/** The API without the pages, in a customer's name. */
export function api(store: RunningStore, token: string) {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
  return {
    async order(id: string) {
      const answer = await fetch(`${store.url}/api/orders/${id}`, { headers })
      return answer.json()
    },
    /** All of them, newest first. */
    async orders() {
      const orders: { id: string; data: { items: { productId: string }[] } }[] = []
      let next: string | undefined = '/api/orders?limit=100'
      while (next) {
        const answer: Response = await fetch(new URL(next, store.url), { headers })
        orders.push(...(await answer.json()))
        next = answer.headers.get('link')?.match(/<([^>]+)>; rel="next"/)?.[1]
      }
      return orders
    },
    async retry(id: string, payment: string) {
      const body = JSON.stringify({ payment: { token: payment } })
      const answer = await fetch(`${store.url}/api/orders/${id}/retry`, { method: 'POST', headers, body })
      expect(answer.status).toBe(200)
    },
  }
}

const EVERYTHING = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** By axe, in everything it knows or in some rules alone. */
export async function expectNoViolations(page: Page, { rules }: { rules?: string[] } = {}) {
  await settled(page)
  const axe = new AxeBuilder({ page })
  const { violations } = await (rules ? axe.withRules(rules) : axe.withTags(EVERYTHING)).analyze()
  const found = violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`,
  )
  expect(found).toEqual([])
}

/** Light and dark; only colours differ. */
export async function expectNoViolationsInBoth(page: Page) {
  await expectNoViolations(page)
  await page.emulateMedia({ colorScheme: 'dark' })
  await expectNoViolations(page, { rules: ['color-contrast'] })
  await page.emulateMedia({ colorScheme: 'light' })
}

/** Until pictures are loaded and nothing moves that will end. */
export async function settled(page: Page) {
  await expect(page.locator('.skeleton')).toHaveCount(0)
  await page.evaluate(async () => {
    // What has just changed begins to move, or to scroll, with the next frame.
    await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))
    const ending = document.getAnimations().filter((each) => each.effect?.getComputedTiming().iterations !== Infinity)
    await Promise.allSettled(ending.map((each) => each.finished))
    await Promise.allSettled(
      [...document.images].filter((image) => image.loading === 'eager').map((image) => image.decode()),
    )
    await document.fonts.ready
  })
}
