/** What the process does now lies over the drawing of a machine. */
import { node, tool } from './editing'
import { consoleOf, declined } from './operator'
import { expect, expectNoViolationsInBoth, test } from './store'

test('a browser without a network hears of the process on its own machine', async ({ page, startOwn }) => {
  const store = await startOwn()
  await page.addInitScript(() => Object.defineProperty(navigator, 'onLine', { get: () => false }))
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await page.getByRole('navigation', { name: 'Drawings' }).getByRole('link', { name: 'order-processing' }).click()
  await expect(page.locator('.machine-counts')).toHaveText('0 under way')
  await declined(store)
  await expect(page.locator('.machine-counts')).toContainText('1 under way')
})

test('states say how many instances are in them, in the drawing, in the table and in words', async ({
  page,
  startOwn,
}) => {
  const store = await startOwn()
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await expect(node(page, 'orders-api')).toBeVisible()
  await page.getByRole('navigation', { name: 'Drawings' }).getByRole('link', { name: 'order-processing' }).click()
  const state = page.locator('.react-flow__node[data-id="payment_failed"]')
  const mark = state.locator('.state-box-mark')
  await expect(page.locator('.machine-counts')).toHaveText('0 under way')
  await expect(mark).toHaveCount(0)
  await declined(store)
  await expect(mark).toHaveText('1')
  await expect(page.locator('.machine-counts')).toContainText('1 under way')
  await declined(store)
  await expect(mark).toHaveText('2')
  await expect(state).toHaveAttribute('aria-label', /2 instances are here now/)
  await state.click()
  await expectNoViolationsInBoth(page)
  await page.getByRole('toolbar', { name: 'Machine' }).getByRole('button', { name: 'Table' }).click()
  await expect(page.locator('.machine-table-count')).toHaveText('2 instances are here now')
  await expectNoViolationsInBoth(page)
  await page.locator('.machine-counts').getByRole('link', { name: '2 in payment_failed' }).click()
  await expect(page.getByRole('table').getByRole('link', { name: /^order-/ })).toHaveCount(2)
})
