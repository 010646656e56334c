/** The processes of an installation of three, as the gateway sees them, also when one is away. */
import { expect, expectNoViolations, test } from './store'

test('the gateway tells of the processes that it passes requests on to, and of one that is gone', async ({
  visitor,
  startOwn,
}) => {
  const store = await startOwn()
  const page = await visitor()
  await page.goto(`${store.service('gateway').operatorUrl}/console/#/processes`)
  const table = page.getByRole('region', { name: 'Table of processes' })
  await expect(page.getByText('3 processes, as the first of them sees them.')).toBeVisible()
  await expect(table.getByRole('row', { name: /^gateway/ })).toContainText('/api/orders')
  for (const name of ['gateway', 'orders'])
    await expect(table.getByRole('row', { name: new RegExp(`^${name}`) })).toContainText('healthy')
  // Nobody has told this one where the broker is.
  await expect(table.getByRole('row', { name: /^users-products/ })).toContainText(/degraded.*event-broker: /)
  await expect(table.getByRole('row', { name: /^users-products/ })).toContainText(/[0-9a-f]{8}/)
  await expectNoViolations(page)
  await store.service('orders').kill()
  await expect(table.getByText('accepts no connection', { exact: true })).toBeVisible()
  await expectNoViolations(page)
})
