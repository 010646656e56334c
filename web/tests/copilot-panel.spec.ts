/** The copilot in a browser: it says what it would change before it changes anything, and every change is one step to undo. */
import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import { exported, file, importFile, node, openAlone, properties, tool } from './editing'
import { Keys } from './keys'
import { consoleOf } from './operator'
import type { RunningStore } from './running/store'
import { expect, expectNoViolations, expectNoViolationsInBoth, test } from './store'

const copilot = (page: Page) => page.getByRole('region', { name: 'AI Copilot' })
const monolith = () => readFileSync(file('monolith'), 'utf8')

async function openWithShop(page: Page, store: RunningStore): Promise<void> {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await expect(node(page, 'orders-api')).toBeVisible()
  await tool(page, 'AI Copilot').click()
  await expect(copilot(page).getByRole('textbox')).toBeFocused()
}

test('a sentence becomes a difference, and only a yes changes the config', async ({ page, store }) => {
  await openWithShop(page, store)
  const generate = copilot(page).getByRole('button', { name: 'Generate Workflow' })
  await expect(generate).toBeDisabled()
  await page.keyboard.type('Add a fraud check between validated and paying')
  await page.keyboard.press('Control+Enter')
  const proposal = copilot(page).getByRole('region', { name: 'Add fraud check between validated and paying' })
  await expect(proposal.getByRole('heading', { level: 3 })).toBeFocused()
  await expect(proposal).toContainText('componentId: fraud-checker')
  await expect(proposal).toContainText('It was checked and brings no problem.')
  await expect(proposal).toContainText('millrace new fraud-checker')
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  await expectNoViolationsInBoth(page)
  await proposal.getByRole('button', { name: 'Discard' }).click()
  await expect(copilot(page).getByRole('textbox')).toBeFocused()
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  await page.keyboard.press('Control+Enter')
  await proposal.getByRole('button', { name: 'Apply', exact: true }).click()
  await expect(node(page, 'fraud-checker')).toBeAttached()
  await expect(page.locator('.editor-offer')).toContainText('Add fraud check between validated and paying')
  await page.locator('.editor-offer').getByRole('button', { name: 'Undo' }).click()
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  expect(await exported(page)).toBe(monolith())
})

test('what no rule knows is not guessed: the sentences that are known are there to take', async ({ page, store }) => {
  await openWithShop(page, store)
  const words = copilot(page).getByRole('textbox')
  await words.fill('Make everything better')
  await copilot(page).getByRole('button', { name: 'Generate Workflow' }).click()
  await expect(copilot(page).getByRole('status')).toContainText('No rule knows what that means.')
  await expectNoViolationsInBoth(page)
  await copilot(page).getByRole('button', { name: 'Add accounts' }).last().click()
  await expect(words).toHaveValue('Add accounts')
  await copilot(page).getByRole('button', { name: 'Generate Workflow' }).click()
  await expect(copilot(page).getByRole('status')).toContainText('There are accounts already.')
})

test('problems are explained, and mended together after they were shown', async ({ page, store }) => {
  await openAlone(page, store)
  const broken = monolith()
    .replace('successTransition: payment_approved', 'successTransition: payment_aproved')
    .replace('    type: metrics.collector', '    type: metrics.colector')
  await page
    .getByLabel('Workflow file')
    .setInputFiles({ name: 'broken.yaml', mimeType: 'text/yaml', buffer: Buffer.from(broken) })
  await expect(node(page, 'orders-api')).toBeVisible()
  await tool(page, 'AI Copilot').click()
  await expect(copilot(page)).toContainText('It names something that this config does not have')
  await copilot(page)
    .getByRole('button', { name: /^Show: / })
    .first()
    .click()
  await expect(copilot(page)).toContainText('problem away and brings none.')
  await copilot(page).getByRole('button', { name: 'Discard' }).click()
  await copilot(page).getByRole('button', { name: 'Mend what leaves no choice' }).click()
  await expect(copilot(page).getByRole('heading', { level: 3 }).first()).toContainText(/^Mend \d of \d/)
  await copilot(page).getByRole('button', { name: 'Apply', exact: true }).click()
  await expect(page.locator('.tab-dirty')).toBeVisible()
  expect(await exported(page)).toContain('successTransition: payment_approved')
})

test('what is selected is explained, and what a careful person would add is a change to look at', async ({
  page,
  store,
}) => {
  await openWithShop(page, store)
  await expect(copilot(page)).toContainText('order-processing: new → validating → validated → paying → paid')
  await page.getByRole('button', { name: 'Outline', exact: true }).click()
  await page.getByRole('treeitem', { name: 'step-payment' }).first().click()
  await expect(copilot(page).getByRole('heading', { name: 'Explain: step-payment' })).toBeVisible()
  await expect(copilot(page)).toContainText('It runs payment-processor when work enters paying of order-processing.')
  await copilot(page).getByRole('button', { name: 'Explore suggestions' }).click()
  await copilot(page).getByRole('button', { name: 'Show the place: cors lets any site call' }).click()
  await expect(properties(page).getByLabel('Name', { exact: true })).toHaveValue('cors')
  await copilot(page).getByRole('button', { name: 'Show the change: Nobody is told of restock_failed' }).click()
  await expect(copilot(page)).toContainText('restock_failed')
  await expect(copilot(page)).toContainText('It was checked and brings no problem.')
})

test('the copilot is worked by keys alone, and gives the focus back', async ({ page, store }) => {
  await openAlone(page, store)
  const keys = new Keys(page)
  await page.keyboard.press('Alt+5')
  await expect(copilot(page).getByRole('textbox')).toBeFocused()
  await keys.press(copilot(page).getByRole('button', { name: 'Add a workflow request' }))
  await expect(copilot(page).getByRole('textbox')).toHaveValue('Add a workflow request')
  await page.keyboard.press('Control+Enter')
  await keys.press(copilot(page).getByRole('button', { name: 'Apply', exact: true }))
  await expect(node(page, 'state-machine')).toBeAttached()
  await expect(copilot(page).getByRole('textbox')).toBeFocused()
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  await expect(copilot(page)).toHaveCount(0)
  await expect(tool(page, 'AI Copilot')).toBeFocused()
})

test('the process behind the page judges what is proposed', async ({ page, store }) => {
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await expect(node(page, 'orders-api')).toBeVisible()
  await tool(page, 'AI Copilot').click()
  await copilot(page).getByRole('textbox').fill('Add a fraud check between validated and paying')
  await page.keyboard.press('Control+Enter')
  // Only the host knows that nobody has built it yet.
  await expect(copilot(page)).toContainText('fraud-checker.wasm')
  await expect(copilot(page).getByRole('button', { name: 'Apply all the same' })).toBeVisible()
})

test.describe('in the dark', () => {
  test.use({ colorScheme: 'dark' })
  test('the copilot can be read', async ({ page, store }) => {
    await openWithShop(page, store)
    await copilot(page).getByRole('button', { name: 'Explore suggestions' }).click()
    await expectNoViolations(page)
    await copilot(page).getByRole('textbox').fill('Add a resource returns')
    await page.keyboard.press('Control+Enter')
    await expect(copilot(page).getByRole('button', { name: 'Apply', exact: true })).toBeEnabled()
    await expectNoViolations(page)
  })
})

test.describe('on a phone', () => {
  test.use({ viewport: { width: 320, height: 640 } })
  test('the copilot has room', async ({ page, store }) => {
    await openAlone(page, store)
    await tool(page, 'AI Copilot').click()
    await copilot(page).getByRole('textbox').fill('Add accounts')
    await copilot(page).getByRole('button', { name: 'Generate Workflow' }).click()
    await expect(copilot(page).getByRole('button', { name: 'Apply', exact: true })).toBeEnabled()
    const { scroll, seen } = await page.evaluate(() => ({
      scroll: document.documentElement.scrollWidth,
      seen: document.documentElement.clientWidth,
    }))
    expect(scroll).toBeLessThanOrEqual(seen)
    await expectNoViolations(page)
  })
})
