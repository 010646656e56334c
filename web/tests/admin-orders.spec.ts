/** Orders in the admin: finding one, what is noted about it, what it is asked to do, and its refunds. */
import type { Page } from '@playwright/test'
import { newMember, signIn } from './staff'
import { buy, expect, expectNoViolations, logIn, newCustomer, orderId, test } from './store'

/** A customer buys through the store; gives who it was and the order's id. */
async function sell(page: Page, how: Parameters<typeof buy>[1] = {}) {
  const customer = newCustomer()
  await logIn(page, customer)
  await page.goto('/')
  await buy(page, how)
  return { customer, id: (await orderId(page)).id }
}

test('support finds an order by its customer, sees what became of it, and leaves a note @alike', async ({
  page,
  visitor,
  store,
}) => {
  const shopper = await visitor()
  const { customer, id } = await sell(shopper)
  await expect(shopper.locator('.order-status')).toHaveText('delivered')

  await signIn(page, await newMember(store, 'support'), '/orders')
  await expect(page.getByRole('row').nth(1)).toBeVisible()
  await expectNoViolations(page)
  await page.getByLabel('Search orders').fill(customer.email)
  await expect(page).toHaveURL(/search=ada/)
  await expect(page.getByRole('row')).toHaveCount(2)
  await page.getByRole('row').nth(1).getByRole('link').click()

  await expect(page).toHaveURL(new RegExp(`#/orders/${id}$`))
  await expect(page.getByRole('status').filter({ hasText: 'delivered' })).toBeVisible()
  await expect(page.getByText('Mechanical Keyboard')).toBeVisible()
  await expect(page.getByText(customer.name), 'whom to answer').toBeVisible()
  await expect(page.getByRole('link', { name: customer.email })).toBeVisible()
  await page.getByLabel('New note').fill('Called to say that it came well packed.')
  await page.goBack()
  await page.goForward()
  await expect(page.getByLabel('New note'), 'what was typed is there again').toHaveValue(/well packed/)
  await page.getByRole('button', { name: 'Add note' }).click()
  await expect(page.getByText('Called to say that it came well packed.')).toBeVisible()
  await expect(page.getByLabel('New note')).toHaveValue('')
  await expectNoViolations(page)

  await page.getByRole('main').getByRole('link', { name: 'Orders', exact: true }).click()
  await expect(page.getByLabel('Search orders'), 'the list is as it was').toHaveValue(customer.email)
  await page.getByLabel('State').selectOption('cancelled')
  await expect(page.getByText('No order fits.')).toBeVisible()
  await page.getByRole('button', { name: 'Show all' }).click()
  await expect(page).toHaveURL(/#\/orders$/)
})

test('finance refunds a part and then the rest, never more than was paid, and the customer sees it', async ({
  page,
  visitor,
  store,
}) => {
  const shopper = await visitor()
  const { id } = await sell(shopper)
  await expect(shopper.locator('.order-status')).toHaveText('delivered')

  await signIn(page, await newMember(store, 'finance'), `/orders/${id}`)
  await expect(page.getByText(/^Nothing of \$\d/)).toBeVisible()
  await page.getByRole('button', { name: 'Refund…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Refund' })
  await dialog.getByLabel('Amount').fill('10000')
  await dialog.getByRole('button', { name: /^Refund/ }).click()
  await expect(dialog.getByText('No more than')).toBeVisible()
  await expect(dialog.getByLabel('Amount')).toBeFocused()
  await expectNoViolations(page)
  await dialog.getByLabel('Amount').fill('20')
  await dialog.getByLabel('Reason').fill('A key was missing')
  await dialog.getByRole('button', { name: 'Refund $20.00' }).click()
  await expect(page.getByText(/^Refunded \$20\.00 of \$149\.99/)).toBeVisible()
  await expect(page.getByRole('table', { name: 'Refunds' }).getByText('closed')).toBeVisible()
  await expectNoViolations(page)

  await page.getByRole('button', { name: 'Refund…' }).click()
  await dialog.getByLabel('Reason').fill('It came back after all')
  await dialog.getByLabel('The goods are back').check()
  await dialog.getByRole('button', { name: 'Refund $129.99' }).click()
  await expect(page.getByText(/^Refunded \$149\.99 of \$149\.99/)).toBeVisible()
  await expect(page.getByRole('button', { name: 'Refund…' })).toHaveCount(0)
  await shopper.reload()
  await expect(shopper.getByText(/refunded \$149\.99 of \$149\.99/i)).toBeVisible()
})

test('support cancels an order that waits for its money, by the keyboard alone @alike', async ({
  page,
  visitor,
  store,
}) => {
  const shopper = await visitor()
  const { id } = await sell(shopper, { payment: 'Empty account' })
  await expect(shopper.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()

  await signIn(page, await newMember(store, 'support'), `/orders/${id}`)
  await page.getByRole('button', { name: 'Cancel order' }).focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'Cancel order' })
  await expectNoViolations(page)
  await page.keyboard.press('Escape')
  await expect(dialog).toHaveCount(0)
  await expect(page.getByRole('button', { name: 'Cancel order' })).toBeFocused()
  await page.keyboard.press('Enter')
  await dialog.getByLabel('Reason').focus()
  await page.keyboard.type('The customer called')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('status').filter({ hasText: 'cancelled' })).toBeVisible()
  await expect(shopper.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
})

test('the orders that are shown can be saved as a table @alike', async ({ page, visitor, store }) => {
  const { customer, id } = await sell(await visitor())
  await signIn(page, await newMember(store, 'support'), `/orders?search=${encodeURIComponent(customer.email)}`)
  await expect(page.getByRole('row')).toHaveCount(2)
  const waiting = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export these' }).click()
  const file = await (await waiting).createReadStream()
  let text = ''
  for await (const part of file) text += part
  expect(text.trim().split('\r\n')).toHaveLength(2)
  expect(text).toContain(id)
})

test('a list of many orders has few of them in the page, and all within reach @alike', async ({
  page,
  visitor,
  store,
}) => {
  test.setTimeout(300_000)
  const shopper = await visitor()
  const { customer } = await sell(shopper)
  const { token } = await orderId(shopper)
  const many = 120
  const line = { items: [{ productId: 'prod-008', quantity: 1 }], payment: { token: 'tok_visa' } }
  const shipping = { address: '1 Main St', city: 'Portland', state: 'OR', zip: '97201' }
  for (let made = 1; made < many; made += 1) {
    const answer = await fetch(`${store.url}/api/orders`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...line, shipping }),
    })
    expect(answer.status).toBe(201)
  }
  await signIn(page, await newMember(store, 'support'), `/orders?search=${encodeURIComponent(customer.email)}`)
  const table = page.getByRole('table', { name: 'Orders' })
  await expect(table).toBeVisible()
  while ((await table.getAttribute('aria-rowcount')) !== `${many + 1}`) {
    await page.getByRole('button', { name: 'Show more' }).click()
    await expect(page.getByRole('button', { name: 'One moment…' })).toHaveCount(0)
  }
  await page.evaluate(() => window.scrollTo(0, 0))
  await expect.poll(() => table.getByRole('row').count()).toBeLessThan(60)
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight))
  await expect(table.locator(`[aria-rowindex="${many + 1}"]`)).toBeInViewport()
  await expectNoViolations(page)
})
