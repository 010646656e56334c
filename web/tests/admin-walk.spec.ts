/** The way of an admin, by keys alone: from the command line that makes the first one to an order whose money has gone back, and what the audit logs keep of it. */
import type { Page } from '@playwright/test'
import { Keys } from './keys'
import { codeOf, type Member, newMember } from './staff'
import { buy, expect, expectNoViolations, logIn, orderId, test } from './store'

/** Through the page of the sign-in. */
async function enter(page: Page, { email, password }: Member): Promise<Keys> {
  const keys = new Keys(page)
  await page.goto('/admin/')
  await keys.type(page.getByLabel('Email'), email)
  await keys.type(page.getByLabel('Password', { exact: true }), password)
  await page.keyboard.press('Enter')
  await expect(page.locator('.desk-shell')).toBeVisible()
  await keys.expectKept()
  return keys
}

/** By the menu. */
async function open(keys: Keys, name: string, heading = name) {
  const { page } = keys
  await keys.press(page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name, exact: true }))
  await expect(page.getByRole('heading', { name: heading, level: 1 })).toBeFocused()
  await expectNoViolations(page)
}

/** An authenticator, confirmed with the password. */
async function enrol(keys: Keys, { password }: Member) {
  const { page } = keys
  await keys.press(page.getByRole('link', { name: 'Your account' }))
  await keys.press(page.getByRole('button', { name: 'Set it up' }))
  const again = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await keys.type(again.getByLabel('Password', { exact: true }), password)
  await expectNoViolations(page)
  await page.keyboard.press('Enter')
  const code = page.getByLabel('Code')
  await expect(code).toBeFocused()
  const secret = (await page.locator('.factor-secret code').innerText()).replaceAll(/\s/g, '')
  await page.keyboard.type(codeOf(secret, Date.now()))
  await page.keyboard.press('Enter')
  await expectNoViolations(page)
  await keys.press(page.getByRole('button', { name: 'I have them' }))
  await expect(page.locator('.factor-recovery')).toHaveCount(0)
  await keys.expectKept()
}

async function giveRoles(keys: Keys, to: Member, ...roles: string[]) {
  const { page } = keys
  await open(keys, 'People')
  await keys.type(page.getByLabel('Search people'), to.email)
  await expect(page.getByRole('row')).toHaveCount(2)
  await keys.press(page.getByRole('button', { name: 'Roles of' }))
  const dialog = page.getByRole('dialog', { name: 'Roles of' })
  for (const role of roles) await keys.check(dialog.getByLabel(role))
  await keys.type(dialog.getByLabel('Reason'), 'Keeps shop and till')
  await expectNoViolations(page)
  await keys.press(dialog.getByRole('button', { name: 'Save roles' }))
  await expect(page.getByText('are changed')).toBeVisible()
  await keys.expectKept()
}

/** A product that is sold, with some units of it. */
async function offer(keys: Keys, { id, name }: { id: string; name: string }) {
  const { page } = keys
  await open(keys, 'Products')
  await keys.press(page.getByRole('link', { name: 'New product' }))
  await expect(page.getByRole('heading', { name: 'New product' })).toBeFocused()
  await keys.type(page.getByLabel('Id'), id)
  await keys.type(page.getByLabel('Name'), name)
  await keys.type(page.getByLabel('Price in dollars'), '49.50')
  await keys.type(page.getByLabel('Category'), 'Home Office')
  await keys.choose(page.getByLabel('Status'), 'active')
  await expectNoViolations(page)
  await keys.press(page.getByRole('button', { name: 'Create product' }))
  await expect(page.getByRole('heading', { name, level: 1 })).toBeFocused()
  await keys.press(page.getByRole('link', { name: '0 units' }))
  await expect(page.getByRole('heading', { name: `Stock of ${name}` })).toBeFocused()
  await keys.type(page.getByLabel('Units'), '5')
  await keys.type(page.getByLabel('Note'), 'The first delivery')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('row', { name: /The first delivery/ })).toContainText('+5')
  await keys.expectKept()
  await expectNoViolations(page)
}

test('the first admin, made on the command line, has a shop run: a product, units, an order, and its money back', async ({
  visitor,
  startOwn,
  shape,
}) => {
  // What is offered here stays in the catalogue: no other test is to find it there.
  const store = await startOwn()
  const settings = { baseURL: store.url }
  const [page, desk, shopper] = [await visitor(settings), await visitor(settings), await visitor(settings)]
  const admin = await newMember(store, 'admin')
  const clerk = await newMember(store)
  const boss = await enter(page, admin)
  await enrol(boss, admin)
  await giveRoles(boss, clerk, 'support', 'catalogue', 'finance')

  const keys = await enter(desk, clerk)
  const product = { id: `lamp-${process.pid}-${Date.now()}`, name: 'Reading Lamp' }
  await offer(keys, product)

  await logIn(shopper)
  await shopper.goto('/')
  await buy(shopper, { product })
  await expect(shopper.locator('.order-status')).toHaveText('delivered')
  const { id } = await orderId(shopper)

  await open(keys, 'Orders')
  await keys.type(desk.getByRole('searchbox'), id)
  await expect(desk.getByRole('row')).toHaveCount(2)
  await keys.press(desk.getByRole('row').nth(1).getByRole('link').first())
  await expect(desk.getByRole('heading', { name: 'Order #' })).toBeFocused()
  const asks = desk.getByRole('button', { name: 'Refund…' })
  await keys.press(asks)
  const refund = desk.getByRole('dialog', { name: 'Refund' })
  await keys.expectTrapped(refund, asks)
  await keys.press(asks)
  await keys.type(refund.getByLabel('Amount'), '20')
  await keys.type(refund.getByLabel('Reason'), 'A scratch')
  await expectNoViolations(desk)
  await keys.press(refund.getByRole('button', { name: 'Refund $20.00' }))
  await expect(desk.getByText('Refunded $20.00 of $49.50')).toBeVisible()
  await keys.expectKept()
  await expectNoViolations(desk)
  // The customer has done nothing but keep the page open.
  await expect(shopper.getByText('Refunded $20.00 of $49.50')).toBeVisible({ timeout: 60_000 })
  await expect(shopper.getByText('A scratch')).toBeVisible()
  await expectNoViolations(shopper)

  await open(boss, 'Audit')
  for (const deed of ['Keeps shop and till', 'products.create', 'The first delivery'])
    await expect(page.getByText(deed).first()).toBeVisible()
  // Where the orders have a database of their own, they have a log of their own.
  if (shape === 'stack') await boss.choose(page.getByLabel('Log', { exact: true }), 'orders')
  await expect(page.getByText('refunds.create').first()).toBeVisible()
  await expectNoViolations(page)
})
