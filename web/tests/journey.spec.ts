/** What a customer does, page by page. */
import { addToCart, buy, expect, fillAddress, logIn, newCustomer, stage, test } from './store'

test('a new customer registers, buys, watches the order to its delivery, changes the profile and leaves', async ({
  page,
}) => {
  const { name, email, password } = newCustomer()
  await page.goto('/')
  await expect(page.getByRole('heading', { name: 'Products' })).toBeVisible()
  await expect(page.locator('.product-card')).toHaveCount(8)
  await expect(page.getByRole('link', { name: 'Orders' })).toHaveCount(0)

  await page.getByRole('link', { name: 'Login' }).click()
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible()
  await page.getByRole('link', { name: 'Create one' }).click()
  await expect(page.getByRole('heading', { name: 'Create account' })).toBeVisible()
  await page.getByLabel('Full name').fill(name)
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Create Account' }).click()
  await expect(page.getByText('Account created! Welcome!')).toBeVisible()
  await expect(page).toHaveURL(/#\/$/)
  await expect(page.getByRole('link', { name: 'Orders' })).toBeVisible()

  await page.getByText('Mechanical Keyboard').click()
  await expect(page.getByRole('heading', { name: 'Mechanical Keyboard' })).toBeVisible()
  await page.getByRole('button', { name: 'Add to Cart' }).click()
  await expect(page.getByText('Mechanical Keyboard added to cart')).toBeVisible()
  await page.getByRole('link', { name: 'Cart 1' }).click()
  await page.getByRole('link', { name: 'Proceed to Checkout' }).click()
  await fillAddress(page)
  await expect(page.getByText('Mechanical Keyboard x1')).toBeVisible()
  await page.getByRole('button', { name: 'Place Order' }).click()
  await expect(page.getByText('Order placed successfully!')).toBeVisible()

  await expect(page).toHaveURL(/#\/orders\/order-/)
  await expect(page.getByText('Order #')).toHaveCount(1)
  for (const label of [
    'Created',
    'Checking Inventory',
    'Inventory OK',
    'Processing Payment',
    'Payment OK',
    'Shipping',
    'Shipped',
    'Delivered',
  ]) {
    await expect(page.getByText(label, { exact: true })).toHaveCount(1)
    await expect(stage(page, label)).toHaveAttribute('data-status', 'done')
  }
  await expect(page.locator('.order-status')).toHaveText('delivered')
  for (const detail of ['Transaction ID', 'Card', '**** 4242', 'Tracking Number', 'Carrier', 'USPS', 'Est. Delivery']) {
    await expect(page.getByText(detail, { exact: true })).toHaveCount(1)
  }
  await expect(page.getByText(/^txn_/)).toBeVisible()
  expect(await page.evaluate(() => localStorage.getItem('cart'))).toBe('[]')

  await page.getByRole('link', { name: 'Orders', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Your Orders' })).toBeVisible()
  await expect(page.locator('.order-card')).toHaveCount(1)
  await expect(page.locator('.order-card')).toContainText('delivered')

  await page.getByRole('link', { name: 'Profile' }).click()
  await expect(page.getByRole('heading', { name: 'Your Profile' })).toBeVisible()
  await page.locator('#name').fill('Ada King')
  await expect(page.getByLabel('Current password')).toHaveCount(0)
  await page.getByLabel('Email').fill(`new.${email}`)
  await page.getByLabel('Current password').fill('not-my-password')
  await page.getByRole('button', { name: 'Save Changes' }).click()
  await expect(page.getByText('is not the password of this account')).toBeVisible()
  await page.getByLabel('Current password').fill(password)
  await page.getByRole('button', { name: 'Save Changes' }).click()
  await expect(page.getByText('Profile updated')).toBeVisible()
  await expect(page.getByLabel('Current password')).toHaveCount(0)
  await page.reload()
  await expect(page.locator('#profile-form').getByLabel('Email')).toHaveValue(`new.${email}`)

  await page.locator('#logout-btn').click()
  await expect(page.getByRole('link', { name: 'Login' })).toBeVisible()
  expect(await page.evaluate(() => [localStorage.getItem('token'), localStorage.getItem('user')])).toEqual([null, null])
  await page.getByRole('link', { name: 'Login' }).click()
  await page.getByLabel('Email').fill(`new.${email}`)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page.getByText('Welcome back!')).toBeVisible()
})

test('a password is changed in the profile and counts from then on', { tag: '@alike' }, async ({ page }) => {
  const { email, password } = newCustomer()
  await page.request.post('/api/auth/register', { data: { name: 'Grace', email, password } })
  const signIn = async (typed: string) => {
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(typed)
    await page.getByRole('button', { name: 'Sign In' }).click()
  }
  await page.goto('/#/profile')
  await signIn(password)
  await page.getByRole('button', { name: 'Change Password' }).click()
  await page.getByLabel('Old password').fill(password)
  await page.getByLabel('New password').fill(`${password} more`)
  await page.getByRole('button', { name: 'Set Password' }).click()
  await expect(page.getByText('Password changed', { exact: false })).toBeVisible()
  await page.reload()
  await expect(page.getByRole('heading', { name: 'Your Profile' })).toBeVisible()
  await page.locator('#logout-btn').click()
  await page.getByRole('link', { name: 'Login' }).click()
  await signIn(password)
  await expect(page.locator('.toast-error')).toBeVisible()
  await signIn(`${password} more`)
  await expect(page.getByText('Welcome back!')).toBeVisible()
})

test('who has forgotten the password asks for a link', { tag: '@alike' }, async ({ page }) => {
  await page.goto('/#/login')
  await page.getByRole('link', { name: 'Forgotten your password?' }).click()
  await page.getByLabel('Email').fill('nobody-knows@example.com')
  await page.getByRole('button', { name: 'Send the Link' }).click()
  await expect(page.getByRole('heading', { name: 'Look into your mail' })).toBeVisible()
  await page.goto('/#/reset/0000')
  await page.getByLabel('New password').fill('another password')
  await page.getByRole('button', { name: 'Set the Password' }).click()
  await expect(page.getByRole('alert')).toContainText('ask for another link')
})

test('the catalogue shows each product once, and a category alone when asked', { tag: '@alike' }, async ({ page }) => {
  await page.goto('/')
  const keyboard = page.locator('.product-card').filter({ hasText: 'Mechanical Keyboard' })
  await expect(page.getByText('Mechanical Keyboard')).toHaveCount(1)
  await expect(keyboard).toContainText('$149.99')
  await expect(keyboard).toContainText('Electronics')
  await expect(keyboard).toContainText(/\d+ in stock/)
  for (const name of ['Catalog', 'Cart', 'Login']) await expect(page.getByRole('link', { name })).toHaveCount(1)
  await page.getByRole('button', { name: 'Home Office' }).click()
  await expect(page.locator('.product-card')).toHaveCount(2)
  await page.getByRole('button', { name: 'Everything' }).click()
  await page.getByRole('button', { name: 'Add USB-C Hub to cart' }).click()
  await expect(page.getByRole('link', { name: 'Cart 1' })).toBeVisible()
})

test('each product has a picture of its own', { tag: '@alike' }, async ({ page }) => {
  await page.goto('/')
  const images = page.locator('.product-card img')
  await expect(images).toHaveCount(8)
  for (const image of await images.all()) {
    await image.scrollIntoViewIfNeeded()
    await expect.poll(() => image.evaluate((each: HTMLImageElement) => each.naturalWidth)).toBeGreaterThan(0)
  }
  const sources = await images.evaluateAll((all) => all.map((each) => (each as HTMLImageElement).src))
  expect(new Set(sources).size).toBe(8)
})

test('the product page says what it is, what it costs and how many there are', { tag: '@alike' }, async ({ page }) => {
  await page.goto('/#/product/prod-003')
  await expect(page.getByRole('heading', { name: 'USB-C Hub' })).toBeVisible()
  await expect(page.locator('.product-detail-category')).toHaveText('Electronics')
  await expect(page.getByText('$79.99')).toBeVisible()
  await expect(page.getByText(/\d+ units in stock/)).toBeVisible()
  await expect(page.getByText('Seven ports from one cable', { exact: false })).toBeVisible()
  await page.getByLabel('Quantity of USB-C Hub').fill('3')
  await page.getByRole('button', { name: 'Add to Cart' }).click()
  await expect(page.getByRole('link', { name: 'Cart 3' })).toBeVisible()
  await page.getByRole('link', { name: 'Back to catalog' }).click()
  await expect(page).toHaveURL(/#\/$/)
})

test('the cart counts, sums, removes, and survives a reload', { tag: '@alike' }, async ({ page }) => {
  await addToCart(page, 'prod-001', 'Mechanical Keyboard')
  await addToCart(page, 'prod-002', 'Wireless Mouse')
  await page.goto('/#/cart')
  await expect(page.getByRole('heading', { name: 'Your Cart' })).toBeVisible()
  await expect(page.locator('.cart-item-name')).toHaveText(['Mechanical Keyboard', 'Wireless Mouse'])
  await expect(page.locator('.cart-item-price').first()).toHaveText('$149.99')
  await expect(page.locator('.cart-summary-total')).toHaveText('$199.98')
  await page.locator('.qty-plus').first().click()
  await expect(page.locator('.cart-summary-total')).toHaveText('$349.97')
  await page.locator('.qty-minus').first().click()
  await expect(page.locator('.cart-summary-total')).toHaveText('$199.98')
  await page.reload()
  await expect(page.locator('.cart-item')).toHaveCount(2)
  await page.locator('.cart-item-remove').first().click()
  await expect(page.getByText('Item removed')).toBeVisible()
  await page.locator('.cart-item-remove').click()
  await expect(page.getByText('Your cart is empty')).toBeVisible()
  await expect(page.getByRole('link', { name: 'Browse Products' })).toBeVisible()
})

test('who is not logged in is asked to, and comes to the page that was wanted', async ({ page }) => {
  const { email, password } = newCustomer()
  const answer = await page.request.post('/api/auth/register', { data: { name: 'Grace', email, password } })
  expect(answer.status()).toBe(201)
  await page.goto('/#/profile')
  await expect(page).toHaveURL(/#\/login$/)
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill('wrong-password')
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page.locator('.toast-error')).toBeVisible()
  await expect(page).toHaveURL(/#\/login$/)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign In' }).click()
  await expect(page).toHaveURL(/#\/profile$/)
})

test('a token that is no longer good ends the session', async ({ page }) => {
  await page.addInitScript(() => {
    if (sessionStorage.getItem('prepared')) return
    sessionStorage.setItem('prepared', 'yes')
    localStorage.setItem('token', 'not-a-token')
  })
  await page.goto('/#/orders')
  await expect(page).toHaveURL(/#\/login$/)
  expect(await page.evaluate(() => localStorage.getItem('token'))).toBeNull()
})

test('an e-mail that is taken and fields that are wrong are said at the field', async ({ page }) => {
  const customer = newCustomer()
  await page.request.post('/api/auth/register', { data: customer })
  await page.goto('/#/register')
  await page.getByLabel('Full name').fill(customer.name)
  await page.getByLabel('Email').fill(customer.email)
  await page.getByLabel('Password').fill(customer.password)
  await page.getByRole('button', { name: 'Create Account' }).click()
  await expect(page.getByText('There is an account with this e-mail already.')).toBeVisible()
  await expect(page.getByLabel('Email')).toBeFocused()
})

test('another one’s order does not exist', async ({ page, visitor }) => {
  await logIn(page)
  await buy(page)
  const stranger = await visitor()
  await logIn(stranger)
  await stranger.goto(`/${new URL(page.url()).hash}`)
  await expect(stranger.getByRole('heading', { name: 'There is no such order' })).toBeVisible()
  await stranger.goto('/#/orders')
  await expect(stranger.getByText('You have not bought anything yet.')).toBeVisible()
})

test('a page that does not exist says so, and leads back', { tag: '@alike' }, async ({ page }) => {
  await page.goto('/#/nowhere')
  await expect(page.getByRole('heading', { name: 'Nothing here' })).toBeVisible()
  await page.goto('/#/product/prod-999')
  await expect(page.getByRole('heading', { name: 'There is no such product' })).toBeVisible()
})

test('the chosen theme stays', { tag: '@alike' }, async ({ page }) => {
  await page.goto('/')
  await page.getByRole('button', { name: 'Theme: system' }).click()
  await page.getByRole('button', { name: 'Theme: light' }).click()
  await page.reload()
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark')
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark')
})

test('the keyboard alone is enough to buy', async ({ page }) => {
  await logIn(page)
  await page.goto('/')
  await expect(page.locator('.product-card')).toHaveCount(8)
  await page.keyboard.press('Tab')
  await expect(page.getByRole('button', { name: 'Skip to content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.locator('main')).toBeFocused()
  await page.getByRole('button', { name: 'Add Wireless Mouse to cart' }).press('Enter')
  await page.getByRole('link', { name: 'Cart 1' }).press('Enter')
  await expect(page.getByRole('heading', { name: 'Your Cart' })).toBeFocused()
  await page.getByRole('link', { name: 'Proceed to Checkout' }).press('Enter')
  await fillAddress(page)
  await page.getByLabel('ZIP Code').press('Enter')
  await expect(page).toHaveURL(/#\/orders\/order-/)
  await expect(page.locator('.order-status')).toHaveText('delivered')
})

test('what carries its content in its name is kept for ever, the page never', async ({ request }) => {
  const index = await request.get('/')
  expect(index.headers()['cache-control']).toBe('no-cache')
  expect(index.headers()['content-security-policy']).toContain("script-src 'self'")
  const script = (await index.text()).match(/src="(\/assets\/[^"]+)"/)?.[1] ?? ''
  const asset = await request.get(script)
  expect(asset.headers()['cache-control']).toContain('immutable')
  expect(asset.headers()['content-encoding']).toBe('br')
  const picture = await request.get('/img/electronics.svg')
  expect(picture.headers()['content-encoding']).toBe('br')
  expect(picture.headers()['cache-control']).toMatch(/^public, max-age=\d+$/)
})
