/** From the command line that makes the first admin to an order whose money has gone back, with what the audit logs keep of it. */
import { codeOf, newMember, signIn } from './staff'
import { buy, expect, expectNoViolations, logIn, orderId, test } from './store'

test('the first admin makes somebody finance, who refunds an order, and both deeds are in the audit log', async ({
  page,
  visitor,
  store,
}) => {
  const shopper = await visitor()
  await logIn(shopper)
  await shopper.goto('/')
  await buy(shopper)
  await expect(shopper.locator('.order-status')).toHaveText('delivered')
  const { id } = await orderId(shopper)

  // The command line makes the first one; a second factor makes the password not enough.
  const admin = await newMember(store, 'admin')
  const clerk = await newMember(store)
  await signIn(page, admin, '/account')
  await page.getByRole('button', { name: 'Set it up' }).click()
  const again = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await again.getByLabel('Password').fill(admin.password)
  await again.getByRole('button', { name: 'Confirm' }).click()
  const secret = (await page.locator('.factor-secret code').innerText()).replaceAll(/\s/g, '')
  await page.getByLabel('Code').fill(codeOf(secret, Date.now()))
  await page.getByRole('button', { name: 'Confirm' }).click()
  await page.getByRole('button', { name: 'I have them' }).click()

  await page.goto(`/admin/#/people?search=${encodeURIComponent(clerk.email)}`)
  await page.getByRole('button', { name: 'Roles of' }).click()
  const roles = page.getByRole('dialog', { name: 'Roles of' })
  await roles.getByLabel('finance').check()
  await roles.getByLabel('Reason').fill('Keeps the till')
  await roles.getByRole('button', { name: 'Save roles' }).click()
  await expect(page.getByText('are changed')).toBeVisible()

  const till = await visitor()
  await signIn(till, clerk, `/orders/${id}`)
  await till.getByRole('button', { name: 'Refund…' }).click()
  const refund = till.getByRole('dialog', { name: 'Refund' })
  await refund.getByLabel('Amount').fill('20')
  await refund.getByLabel('Reason').fill('A scratch')
  await refund.getByRole('button', { name: 'Refund $20.00' }).click()
  await expect(till.getByText('Refunded $20.00 of $149.99')).toBeVisible()
  await expectNoViolations(till)
  await expect(shopper.getByText('Refunded $20.00 of $149.99')).toBeVisible({ timeout: 60_000 })

  await page.goto('/admin/#/audit')
  await expect(page.getByText('Keeps the till')).toBeVisible()
  const logs = page.getByLabel('Log')
  if ((await logs.count()) > 0) await logs.selectOption('orders')
  await expect(page.getByText('refunds.create').first()).toBeVisible()
  await expectNoViolations(page)
})
