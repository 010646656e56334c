/** axe in the states of the editor that no other test leaves it in, light and dark. */
import type { Locator, Page } from '@playwright/test'
import { file, importFile, node, openAlone, properties, tool } from './editing'
import { expect, expectNoViolationsInBoth, test } from './store'

const outline = (page: Page, name: string): Locator => page.getByRole('treeitem', { name }).first()

// Each state is looked at twice, and each look takes seconds on a busy machine.
test.setTimeout(600_000)

test('nothing is found in what is selected, asked and told of a config', async ({ page, store }) => {
  await openAlone(page, store)
  await page.getByLabel('Find a module').fill('nothing of that name')
  await expectNoViolationsInBoth(page)
  await page.getByLabel('Find a module').fill('')
  await importFile(page, file('monolith'))
  await expect(node(page, 'orders-api')).toBeVisible()
  await tool(page, 'Auto-group').click()
  await expect(page.locator('.frame-box').first()).toBeVisible()
  await expectNoViolationsInBoth(page)
  await page.getByRole('button', { name: 'Outline', exact: true }).click()
  for (const name of ['step-payment', 'POST /api/orders', 'order.created']) {
    await outline(page, name).click()
    await expect(properties(page).getByRole('button', { name: /^Delete/ })).toBeVisible()
    await expectNoViolationsInBoth(page)
  }
  await outline(page, 'web-server').click()
  await page.keyboard.press('c')
  await expect(page.getByRole('dialog', { name: 'Connect web-server' })).toBeVisible()
  await expectNoViolationsInBoth(page)
  await page.keyboard.press('Escape')
  await tool(page, 'Help').click()
  await expect(page.getByRole('dialog')).toBeVisible()
  await expectNoViolationsInBoth(page)
})

test('nothing is found while something is wrong, and once all is gone', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await expect(node(page, 'orders-api')).toBeVisible()
  await page.getByRole('button', { name: 'Outline', exact: true }).click()
  await outline(page, 'step-payment').click()
  await properties(page).getByLabel('Success Transition').fill('nowhere')
  await tool(page, 'Problems 1').click()
  await expect(page.locator('.problem-fixes, .problem-no-fix').first()).toBeVisible()
  await tool(page, 'Text').click()
  await expect(page.locator('.cm-lintRange-error').first()).toBeVisible()
  await expectNoViolationsInBoth(page)
  await tool(page, 'Components').click()
  await expect(page.getByRole('region', { name: 'Components', exact: true })).toBeVisible()
  await expectNoViolationsInBoth(page)
  await tool(page, 'Clear').click()
  await expect(page.locator('.editor-offer')).toBeVisible()
  await expect(page.getByText('This config has none.')).toBeVisible()
  await expectNoViolationsInBoth(page)
})

test('nothing is found in what is asked of a machine', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await page.getByRole('navigation', { name: 'Drawings' }).getByRole('link', { name: 'order-processing' }).click()
  const machine = page.getByRole('toolbar', { name: 'Machine' })
  for (const what of ['Add a state', 'Add a transition']) {
    await machine.getByRole('button', { name: what }).click()
    await expect(page.getByRole('dialog')).toBeVisible()
    await expectNoViolationsInBoth(page)
    await page.keyboard.press('Escape')
  }
  await page.locator('summary', { hasText: 'Components' }).click()
  await expectNoViolationsInBoth(page)
  await page.evaluate(() => location.replace('#/machine/nowhere'))
  await expect(page.getByText('This config has no machine named nowhere.')).toBeVisible()
  await expectNoViolationsInBoth(page)
})

test('nothing is found in what cannot be read, is unknown, or is refused', async ({ page, store }) => {
  await openAlone(page, store)
  const take = (name: string, text: string) =>
    page.getByLabel('Workflow file').setInputFiles({ name, mimeType: 'text/yaml', buffer: Buffer.from(text) })
  await take('unreadable.yaml', 'modules:\n  - name: "a\n')
  await expect(page.getByText(/Line \d+ cannot be read as YAML/).first()).toBeVisible()
  await expectNoViolationsInBoth(page)
  await take(
    'other.yaml',
    'modules:\n  - {name: old, type: http.handler, config: {path: /x}}\n  - &a {name: one, type: health.checker}\n  - *a\n',
  )
  await page.getByRole('button', { name: 'Outline', exact: true }).click()
  await outline(page, 'old').click()
  await expect(properties(page)).toContainText('http.handler')
  await expectNoViolationsInBoth(page)
  await outline(page, 'one').click()
  await expect(properties(page)).toContainText('edit it as text')
  await expectNoViolationsInBoth(page)
  await importFile(page, file('monolith'))
  await page.getByRole('navigation', { name: 'Drawings' }).getByRole('link', { name: 'refund' }).click()
  const machine = page.getByRole('toolbar', { name: 'Machine' })
  await machine.getByRole('button', { name: 'Add a state' }).click()
  await page.getByRole('dialog').getByLabel('State name').fill('refunded')
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click()
  await expect(page.getByRole('dialog').getByRole('alert')).toBeVisible()
  await expectNoViolationsInBoth(page)
})
