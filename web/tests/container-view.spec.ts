/** The processes of an installation, drawn with their modules, and as a table that says the same. */
import type { Page } from '@playwright/test'
import { file, importFile, openAlone, tool } from './editing'
import { Keys } from './keys'
import { consoleOf } from './operator'
import { expect, expectNoViolationsInBoth, test } from './store'

const table = (page: Page) => page.getByRole('region', { name: 'Table of processes' })
const frame = (page: Page, name: string) =>
  page.locator('.react-flow__node-container').filter({ has: page.getByText(name, { exact: true }) })

test('without a process the configs that are open are the parts of an installation', async ({ page, store }) => {
  await openAlone(page, store)
  for (const name of ['gateway', 'users-products', 'orders']) await importFile(page, file(name))
  await tool(page, 'Container View').click()
  await expect(tool(page, 'Container View')).toHaveAttribute('aria-pressed', 'true')
  await expect(page.getByText('No process answers here: these are the configs that are open.')).toBeVisible()
  for (const name of ['gateway', 'users-products', 'orders']) await expect(frame(page, name)).toBeVisible()
  await expect(table(page).getByRole('row', { name: /^gateway/ })).toContainText('/api/orders')
  await expectNoViolationsInBoth(page)
  const keys = new Keys(page)
  await keys.press(table(page).getByRole('button', { name: 'orders', exact: true }))
  await expect(page.getByRole('tab', { name: /orders/ })).toHaveAttribute('aria-selected', 'true')
  await expect(tool(page, 'Container View')).toHaveAttribute('aria-pressed', 'false')
})

test('a process tells how it is, what it runs, and which modules stand in it', async ({ page, store }) => {
  await page.goto(consoleOf(store, '/processes'))
  const row = table(page).getByRole('row', { name: /^(monolith|gateway)/ })
  // What other tests have left behind in this store may wait for a person.
  await expect(row).toContainText(/healthy|degraded/)
  await expect(row).toContainText(/[0-9a-f]{8}/)
  await expect(row).toContainText('as its file says')
  await expect(page.locator('.react-flow__node-module').first()).toBeVisible()
  await expectNoViolationsInBoth(page)
  // The text of the process, changed here.
  await tool(page, 'Load Server').click()
  await expect(table(page)).toContainText('as it is open here')
})
