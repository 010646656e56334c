/** A component in the editor, from nothing to the config that runs: its files, what was built judged and tried, its place, and the save. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { exported, file, importFile, node, openAlone, tool } from './editing'
import { Keys } from './keys'
import { confirm, consoleOf, enter } from './operator'
import { repository } from './running/program'
import { newMember } from './staff'
import { expect, expectNoViolations, expectNoViolationsInBoth, test } from './store'

/** It stands for what somebody has built. */
const BUILT = join(process.env.COMPONENTS_DIR ?? join(repository, 'target/components'), 'returns-inspection.wasm')

const dialog = (page: Page) => page.getByRole('dialog', { name: 'Create Component' })
const panel = (page: Page) => page.getByRole('region', { name: 'Components', exact: true })

test('a component begins with its files, is judged and tried, and runs once the config is saved', async ({
  visitor,
  startOwn,
}) => {
  const store = await startOwn({ ownConfig: true })
  const page = await visitor()
  const admin = await enter(page, store, 'admin', 'designer')
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await expect(node(page, 'orders-api')).toBeVisible()
  await tool(page, 'Components').click()
  await expect(panel(page).getByRole('button', { name: 'payment-processor' })).toBeVisible()
  await expectNoViolationsInBoth(page)
  await panel(page).getByRole('button', { name: 'Create Component' }).click()

  await dialog(page).getByLabel('Name').fill('Fraud Check')
  await expect(dialog(page)).toContainText('for example fraud-check')
  await expectNoViolations(page)
  await dialog(page).getByLabel('Name').fill('look-at-it')
  await dialog(page).getByLabel('Language').selectOption('Go')
  await dialog(page).getByLabel('A handler of events').check()
  await expect(dialog(page).getByLabel('Topic')).toBeVisible()
  await dialog(page).getByLabel('A step of a workflow').check()
  await dialog(page).getByLabel('On the way').selectOption('order-processing: from validated to paying')
  await dialog(page).getByRole('button', { name: 'build.sh' }).click()
  await expect(dialog(page).getByRole('region', { name: 'build.sh' })).toContainText('look-at-it.wasm')
  await expect(dialog(page)).toContainText('millrace new look-at-it --lang go')
  const [archive] = await Promise.all([
    page.waitForEvent('download'),
    dialog(page).getByRole('button', { name: 'Download look-at-it.zip' }).click(),
  ])
  expect(archive.suggestedFilename()).toBe('look-at-it.zip')
  expect(readFileSync(await archive.path()).includes('look-at-it/wit/step.wit')).toBe(true)

  const chooser = dialog(page).getByLabel('Component file')
  await chooser.setInputFiles({ name: 'x.wasm', mimeType: 'application/wasm', buffer: Buffer.from('no') })
  await expect(dialog(page).getByRole('alert')).toBeVisible()
  await chooser.setInputFiles(BUILT)
  await expect(dialog(page).getByText('is good and kept. Nothing runs it before the config has it.')).toBeVisible()
  await dialog(page).getByRole('button', { name: 'Try it' }).click()
  await expect(dialog(page).getByText('Outcome')).toBeVisible()
  await expectNoViolationsInBoth(page)
  await dialog(page).getByLabel('Reason').fill('somebody has to look')
  await dialog(page).getByRole('button', { name: 'Put it into the config' }).click()
  await expect(dialog(page)).toHaveCount(0)
  await expect(page.locator('.editor-offer')).toContainText('look-at-it is in the config')
  const text = await exported(page)
  expect(text).toContain('/look-at-it.wasm')
  expect(text).toContain('componentId: look-at-it')

  await page.keyboard.press('Control+s')
  const saving = page.getByRole('dialog', { name: /^Save as the config of/ })
  await expect(saving).toContainText('The process takes it at once')
  await saving.getByLabel('Reason').fill('a new component')
  await saving.getByRole('button', { name: /^Save/ }).last().click()
  await confirm(page, admin)
  const saved = page.getByRole('dialog', { name: 'Saved' })
  await expect(saved).toContainText('the process runs it', { ignoreCase: true })
  await saved.getByRole('button', { name: 'Close' }).click()
  await page.goto(consoleOf(store, '/components/look-at-it'))
  await expect(page.locator('.component-title code')).toHaveText(/[0-9a-f]{8}/)
})

test('without a process it says so, and shows the command lines; by keys alone', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await expect(node(page, 'orders-api')).toBeVisible()
  const keys = new Keys(page)
  await keys.press(tool(page, 'Components'))
  const create = panel(page).getByRole('button', { name: 'Create Component' })
  await expect(create).toBeFocused()
  await page.keyboard.press('Enter')
  await keys.type(dialog(page).getByLabel('Name'), 'fraud-check')
  await expect(dialog(page)).toContainText('No process answers here that has the files')
  await expect(dialog(page)).toContainText('millrace new fraud-check --lang rust')
  await expect(dialog(page)).toContainText(
    /millrace add fraud-check fraud-check\/fraud-check.wasm --config config.yaml --between \w+,\w+/,
  )
  await expectNoViolationsInBoth(page)
  await page.keyboard.press('Escape')
  await expect(dialog(page)).toHaveCount(0)
  await expect(create).toBeFocused()
  await keys.press(panel(page).getByRole('button', { name: 'Close the components' }))
  await expect(tool(page, 'Components')).toBeFocused()
})

test('the page of components leads to it, and who may not change components is told', async ({ page, store }) => {
  await page.goto(consoleOf(store, '/components'))
  await page.getByRole('link', { name: 'Create Component' }).click()
  await dialog(page).getByLabel('Name').fill('fraud-check')
  await expect(dialog(page)).toContainText('takes the role designer')
  await expect(dialog(page).getByRole('button', { name: 'README.md' })).toHaveAttribute('aria-pressed', 'true')
  await expectNoViolationsInBoth(page)
  await dialog(page).getByRole('button', { name: 'Close' }).click()
  await expect(page.locator('.react-flow')).toBeVisible()
})

test('what was said of a component is still there for who has signed in meanwhile', async ({ page, store }) => {
  const member = await newMember(store, 'designer')
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await tool(page, 'Components').click()
  await panel(page).getByRole('button', { name: 'Create Component' }).click()
  await dialog(page).getByLabel('Name').fill('fraud-check')
  await dialog(page).getByLabel('Language').selectOption('Go')
  await dialog(page).getByLabel('A handler of events').check()
  await dialog(page).getByLabel('Topic').fill('order.paid')
  await dialog(page).getByRole('link', { name: 'Sign in' }).click()
  await page.getByLabel('Email').fill(member.email)
  await page.getByLabel('Password', { exact: true }).fill(member.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await expect(dialog(page).getByLabel('Name')).toHaveValue('fraud-check')
  await expect(dialog(page).getByLabel('Language')).toHaveValue('go')
  await expect(dialog(page).getByLabel('Topic')).toHaveValue('order.paid')
  // It opens by itself once, and not again for who leaves it as it is.
  await page.evaluate(() => location.assign('#/instances'))
  await expect(page.getByRole('heading', { name: 'Instances' })).toBeVisible()
  await page.goBack()
  await expect(page.locator('.react-flow')).toBeVisible()
  await expect(dialog(page)).toHaveCount(0)
  await panel(page).getByRole('button', { name: 'Create Component' }).click()
  await expect(dialog(page).getByLabel('Name')).toHaveValue('fraud-check')
  await dialog(page).getByRole('button', { name: 'Close' }).click()
  await panel(page).getByRole('button', { name: 'Create Component' }).click()
  await expect(dialog(page).getByLabel('Name')).toHaveValue('')
})
