/** What somebody who means harm, or a browser that has seen much, may put in the pages' way. */
import type { Page } from '@playwright/test'
import { addToCart, buy, expect, fillAddress, logIn, newCustomer, test } from './store'

const SCRIPT = `"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`

test('markup in a name or an address stays words', async ({ page }) => {
  await logIn(page, { ...newCustomer(), name: SCRIPT })
  await page.goto('/#/profile')
  await expect(page.locator('#name')).toHaveValue(SCRIPT)
  await page.getByRole('button', { name: 'Save Changes' }).click()
  await expect(page.getByText('Profile updated')).toBeVisible()
  await addToCart(page, 'prod-001', 'Mechanical Keyboard')
  await page.goto('/#/checkout')
  await fillAddress(page)
  await page.getByLabel('Street Address').fill(SCRIPT)
  await page.getByLabel('City').fill('<b onmouseover=hacked=1>Portland</b>')
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.order-address')).toContainText(SCRIPT)
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await expect(page.getByText('On its way to <b onmouseover=hacked=1>Portland</b>.')).toBeVisible()
  expect(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked)).toBeUndefined()
  await expect(page.locator('b[onmouseover]')).toHaveCount(0)
})

test('scripts from elsewhere or in the page are forbidden', async ({ browser, store }) => {
  // Not a visitor: what the policy forbids is complained about, as it should be.
  const page = await browser.newPage({ baseURL: store.url })
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(8)
  await page.evaluate(() => {
    const seen: string[] = []
    Object.assign(window, { seen })
    document.addEventListener('securitypolicyviolation', (event) => seen.push(event.effectiveDirective))
    const inline = document.createElement('script')
    inline.textContent = 'window.hacked = 1'
    const handler = document.createElement('button')
    handler.setAttribute('onclick', 'window.hacked = 1')
    const frame = document.createElement('iframe')
    frame.src = 'https://elsewhere.example/'
    const image = document.createElement('img')
    image.src = 'https://elsewhere.example/x.png'
    document.body.append(inline, handler, frame, image)
    handler.click()
    fetch('https://elsewhere.example/').catch(() => {})
  })
  for (const directive of ['connect-src', 'frame-src', 'img-src', 'script-src-attr', 'script-src-elem']) {
    await expect.poll(() => page.evaluate(() => (window as unknown as { seen: string[] }).seen)).toContain(directive)
  }
  expect(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked)).toBeUndefined()
  await page.close()
})

test('no other page may show the store in a frame', async ({ request }) => {
  const headers = (await request.get('/')).headers()
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
  expect(headers['x-content-type-options']).toBe('nosniff')
})

for (const [what, values] of Object.entries({
  'words that are no JSON': { cart: 'nonsense', user: 'nonsense', theme: 'nonsense' },
  'JSON of another shape': { cart: '{"a":1}', user: '[]', theme: '{}' },
  'members of other types': {
    cart: '[{"productId":"prod-001","quantity":2,"name":{"a":1},"price":"x","image":{},"category":[]},{"productId":{}},null]',
    user: '{"name":{"a":1},"email":[]}',
    theme: '7',
  },
  'very large numbers': {
    cart: '[{"productId":"prod-001","quantity":1e308},{"productId":"prod-002","quantity":-5,"price":1e308}]',
    user: '1e999',
    theme: '',
  },
})) {
  test(`${what} in local storage break no page`, async ({ page }) => {
    await logIn(page)
    await page.goto('/')
    await page.evaluate((given) => {
      for (const [key, value] of Object.entries(given)) localStorage.setItem(key, value)
    }, values)
    for (const [path, heading] of [
      ['/', 'Products'],
      ['/cart', /^Your (Cart|cart is empty)$/],
      ['/checkout', /^(Checkout|Your cart is empty)$/],
      ['/orders', 'Your Orders'],
      ['/profile', 'Your Profile'],
    ] as const) {
      await page.goto(`/#${path}`)
      await page.reload()
      await expect(page.getByRole('heading', { name: heading, level: 1 })).toBeVisible()
      await expect(page.getByText(/NaN|undefined|\[object|Infinity/)).toHaveCount(0)
    }
    await expect(page.locator('#name')).toHaveValue('Ada Lovelace')
    // And the cart can be used again.
    await page.goto('/#/product/prod-003')
    await page.getByRole('button', { name: 'Add to Cart' }).click()
    await page.goto('/#/cart')
    await expect(page.locator('.cart-item-name').filter({ hasText: 'USB-C Hub' })).toBeVisible()
  })
}

test('a token that was never one ends in a login', async ({ page }) => {
  await page.addInitScript(() => {
    if (sessionStorage.getItem('prepared')) return
    sessionStorage.setItem('prepared', 'yes')
    localStorage.setItem('token', 'two\nlines and ünïcode €')
  })
  await page.goto('/#/orders')
  await expect(page).toHaveURL(/#\/login$/)
})

test('addresses of pages that nobody wrote lead to a page that says so', async ({ page }) => {
  await logIn(page)
  for (const hash of [
    '#/product/%3Cscript%3E',
    '#/product/%',
    '#/orders/..%2F..%2Fauth%2Fprofile',
    '#//orders///',
    '#/a/b/c/d',
    '#nonsense',
  ]) {
    await page.goto(`/${hash}`)
    await page.reload()
    await expect(page.locator('h1')).toHaveText(/^(There is no such (product|order)|Nothing here|Your Orders)$/)
  }
})

test('the longest names fit on the smallest screen', async ({ visitor, startOwn }) => {
  const long = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'
  const product = {
    id: 'prod-001',
    data: {
      name: `${long} ${long} Keyboard`,
      price: 1234567.89,
      category: long,
      description: `${long.repeat(3)} ${'Word '.repeat(200)}`,
      image: '/img/missing.svg',
      stock: 1234567,
    },
    state: 'active',
  }
  const store = await startOwn({ products: [product] })
  const page = await visitor({ baseURL: store.url, viewport: { width: 320, height: 640 } })
  await logIn(page, { ...newCustomer(), name: `${long} ${long}`.slice(0, 100) })
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(1)
  await fits(page)
  await page.goto('/#/product/prod-001')
  await page.getByRole('button', { name: 'Add to Cart' }).click()
  await expect(page.locator('.toast-success')).toBeVisible()
  await fits(page)
  await page.goto('/#/cart')
  await expect(page.locator('.cart-item')).toHaveCount(1)
  await fits(page)
  await page.goto('/#/checkout')
  await fillAddress(page)
  await page.getByLabel('Street Address').fill(long.repeat(3).slice(0, 190))
  await page.getByLabel('City').fill(long)
  await fits(page)
  // More than a label holds, and nothing at all, are said at the field.
  await page.getByLabel('City').fill('ü'.repeat(201))
  await page.getByLabel('State').fill(' ')
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByLabel('City')).toHaveAccessibleDescription('Must have 1 to 200 characters, has 201')
  await expect(page.getByLabel('State')).toHaveAccessibleDescription('Please fill this in.')
  await expect(page.getByLabel('City')).toBeFocused()
  await fits(page)
  await page.getByLabel('City').fill(long)
  await page.getByLabel('State').fill('OR')
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await fits(page)
  await page.goto('/#/orders')
  await expect(page.locator('.order-card')).toHaveCount(1)
  await fits(page)
  await page.goto('/#/profile')
  await fits(page)
})

test('one person is one account whatever the keyboard', async ({ page }) => {
  const { name, password, email } = newCustomer()
  const local = `jörg.${email.split('@')[0]}`
  await page.goto('/#/register')
  await page.getByLabel('Full name').fill(name)
  await page.getByLabel('Email').fill(`${local}@bücher..example`)
  await page.getByLabel('Password').fill('ü'.normalize('NFD').repeat(7))
  await page.getByRole('button', { name: 'Create Account' }).click()
  await expect(page.getByLabel('Email')).toHaveAccessibleDescription(/is not a domain, for example example.com/)
  await expect(page.getByLabel('Password')).toHaveAccessibleDescription(/Must have 8 to 128 characters, has 7/)
  await page.getByLabel('Email').fill(`${local}@bücher.example`)
  await page.getByLabel('Password').fill(`${password} ü`.normalize('NFD'))
  await page.getByRole('button', { name: 'Create Account' }).click()
  await expect(page.getByText('Account created! Welcome!')).toBeVisible()
  await page.goto('/#/profile')
  await page.locator('#logout-btn').click()
  await page.goto('/#/login')
  await page.getByLabel('Email').fill(`${local.toUpperCase().normalize('NFD')}＠xn--bcher-kva．example`)
  await page.getByLabel('Password').fill(`${password}\u{3000}ü`)
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page.getByText('Welcome back!')).toBeVisible()
  await page.goto('/#/profile')
  await expect(page.locator('#profile-form').getByLabel('Email')).toHaveValue(`${local}@bücher.example`)
})

test('an order of another shape is still shown', async ({ page }) => {
  await logIn(page)
  await buy(page)
  await expect(page.locator('.order-status')).toHaveText('delivered')
  await page.route(/\/api\/orders\/[^/]+$/, async (route) => {
    const answer = await route.fetch()
    const order = await answer.json()
    await route.fulfill({ json: { ...order, data: { items: 7, total: 'x', shipping: null }, history: undefined } })
  })
  await page.reload()
  await expect(page.getByText('Order #')).toHaveCount(1)
  await expect(page.getByText(/NaN|undefined|\[object/)).toHaveCount(0)
})

/** Nothing has to be scrolled sideways, and no text is wider than its box. */
async function fits(page: Page) {
  const outside = await page.evaluate(() => {
    const width = document.documentElement.clientWidth
    return [...document.querySelectorAll('main *, header *, #toast-container *')]
      .filter((each) => {
        const box = each.getBoundingClientRect()
        return (
          box.width > 0 && (box.right > width + 1 || box.left < -1) && !each.closest('.sr-only, .chips, .skip-link')
        )
      })
      .map((each) => `${each.tagName}.${each.getAttribute('class')}`)
  })
  expect(outside).toEqual([])
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
}
