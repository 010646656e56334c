/** A config is saved from the editor: planned, confirmed, taken by the process, and taken back. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import { file, importFile, node, openAlone, properties, tool } from './editing'
import { confirm, consoleOf, declined, enter } from './operator'
import type { RunningStore } from './running/store'
import { newMember } from './staff'
import { expect, expectNoViolations, expectNoViolationsInBoth, test } from './store'

const dialog = (page: Page, name: string | RegExp = /^Save as the config of/) => page.getByRole('dialog', { name })
const configOf = (store: RunningStore) => store.service('orders').config
const textOf = (store: RunningStore) => readFileSync(configOf(store), 'utf8')

/** The editor with the config of the process in it. */
async function loaded(page: Page, store: RunningStore): Promise<void> {
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await expect(node(page, 'orders-api')).toBeVisible()
}

/** Has browsers keep the files of the pages for so many seconds; this takes no restart. */
async function keep(page: Page, seconds: string): Promise<void> {
  await node(page, 'spa').click()
  await properties(page).getByLabel('Cache Max Age').fill(`${seconds}s`)
}

async function saved(page: Page, reason: string): Promise<void> {
  await dialog(page).getByLabel('Reason').fill(reason)
  await dialog(page).getByRole('button', { name: /^Save/ }).last().click()
}

test('a change is planned, confirmed by the password, and runs at once', async ({ visitor, startOwn }) => {
  const store = await startOwn({ ownConfig: true })
  const page = await visitor()
  const admin = await enter(page, store, 'admin')
  await loaded(page, store)
  const before = textOf(store)
  await keep(page, '77')
  await page.keyboard.press('Control+s')
  await expect(dialog(page)).toContainText('The process takes it at once')
  await expect(dialog(page).getByRole('region', { name: 'What changes' })).toContainText('module spa')
  await expect(dialog(page).getByRole('region', { name: /^From what monolith.yaml says/ })).toContainText('77')
  await expect(dialog(page)).toContainText(/millrace config save monolith.yaml --made-from [0-9a-f]{64} --reason/)
  await expectNoViolationsInBoth(page)
  await saved(page, 'a quieter day')
  await confirm(page, admin)
  const done = dialog(page, 'Saved')
  await expect(done).toContainText('the process runs it', { ignoreCase: true })
  await expect(done).toContainText(/millrace config rollback [0-9a-f]{12}/)
  await expectNoViolationsInBoth(page)
  await done.getByRole('button', { name: 'Close' }).click()
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  expect(textOf(store)).toBe(before.replace('cacheMaxAge: 3600', 'cacheMaxAge: 77s'))
  // The next save begins from what was saved.
  await keep(page, '78')
  await page.keyboard.press('Control+s')
  await saved(page, 'a little more')
  await expect(dialog(page, 'Saved')).toBeVisible()
})

test('what would strand somebody is not saved, and says why', async ({ visitor, startOwn }) => {
  const store = await startOwn({ ownConfig: true })
  await declined(store)
  const page = await visitor()
  await enter(page, store, 'admin')
  await loaded(page, store)
  const before = textOf(store)
  await page.locator('.react-flow__node[data-id="payment-processor"]').click()
  await page.keyboard.press('F2')
  await properties(page).getByLabel('Name', { exact: true }).first().fill('payments')
  await tool(page, 'Save').click()
  await expect(dialog(page)).toContainText('1 unfinished instance would be stranded')
  await expect(dialog(page).getByRole('region', { name: 'Whose work would be stranded' })).toContainText(
    'payment-processor',
  )
  await expect(dialog(page).getByLabel('Reason')).toHaveCount(0)
  await expectNoViolationsInBoth(page)
  expect(textOf(store)).toBe(before)
})

test('who may not save is told before they try', async ({ visitor, store }) => {
  const page = await visitor()
  await page.goto(consoleOf(store))
  await page.getByRole('button', { name: 'Load the config of monolith' }).click()
  await expect(node(page, 'orders-api')).toBeVisible()
  await keep(page, '77')
  await tool(page, 'Save').click()
  await expect(dialog(page)).toContainText('To save takes the role admin, and nobody is signed in.')
  await expect(dialog(page).getByRole('link', { name: 'Sign in' })).toBeVisible()
  await expect(dialog(page).getByLabel('Reason')).toHaveCount(0)
  await expectNoViolationsInBoth(page)
  // Who signs in from here is back here, with what they have made.
  await page.goto(consoleOf(store, '/machine/order-processing'))
  await tool(page, 'Save').click()
  await dialog(page).getByRole('link', { name: 'Sign in' }).click()
  await page.getByText('No account with a role yet?').click()
  await expect(page.getByText(/^millrace users grant --config/)).toBeVisible()
  await expectNoViolationsInBoth(page)
  const { email, password } = await newMember(store, 'designer')
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await expect(page.getByRole('toolbar', { name: 'Machine' })).toBeVisible()
  await expect(page.locator('.tab-dirty')).toBeVisible()
  // The save that was begun goes on by itself, once.
  await expect(dialog(page)).toContainText('Your account has designer.')
  await dialog(page).getByRole('button', { name: 'Close' }).click()
  for (const address of ['#/instances', '#/machine/order-processing']) {
    await page.evaluate((next) => location.assign(next), address)
    await expect(page.getByRole('toolbar', { name: 'Machine' })).toHaveCount(address === '#/instances' ? 0 : 1)
  }
  await expect(dialog(page)).toHaveCount(0)
})

test('without a process a config is given as a file', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await node(page, 'orders-api').click()
  await properties(page).getByLabel('Resource Name').fill('bookings')
  await expect(page.locator('.tab-dirty')).toBeVisible()
  const [download] = await Promise.all([page.waitForEvent('download'), tool(page, 'Save').click()])
  expect(download.suggestedFilename()).toBe('monolith.yaml')
  expect(readFileSync(await download.path(), 'utf8')).toContain('resourceName: bookings')
  await expect(page.getByText('No process answers here, so monolith.yaml is given as a file.')).toBeVisible()
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  await expect(dialog(page)).toHaveCount(0)
})

test('two who save at once see both changes, and put them together', async ({ visitor, startOwn }) => {
  const store = await startOwn({ ownConfig: true })
  const [page, other] = [await visitor(), await visitor()]
  const [admin, ann] = [await enter(page, store, 'admin'), await enter(other, store, 'admin')]
  await loaded(page, store)
  await loaded(other, store)
  await keep(other, '70')
  await tool(other, 'Save').click()
  await saved(other, 'fewer')
  await confirm(other, ann)
  await expect(dialog(other, 'Saved')).toBeVisible()

  await node(page, 'health').click()
  await properties(page).getByLabel('Description').fill('checks')
  await tool(page, 'Save').click()
  const both = dialog(page, 'Somebody else has saved')
  await expect(both).toContainText('“fewer”')
  await expect(both.getByRole('region', { name: 'What they have changed' })).toContainText('70')
  await expect(both.getByRole('region', { name: 'What you have changed' })).toContainText('description: checks')
  await expectNoViolationsInBoth(page)
  await both.getByRole('button', { name: 'Put both together' }).click()
  await saved(page, 'both')
  await confirm(page, admin)
  await dialog(page, 'Saved').getByRole('button', { name: 'Close' }).click()
  expect(textOf(store)).toMatch(/cacheMaxAge: 70s\n/)
  expect(textOf(store)).toMatch(/description: checks\n/)

  // Where both have changed the same, one is chosen.
  await dialog(other, 'Saved').getByRole('button', { name: 'Close' }).click()
  await keep(other, '60')
  await keep(page, '50')
  await tool(page, 'Save').click()
  await saved(page, 'fifty')
  await expect(dialog(page, 'Saved')).toBeVisible()
  await tool(other, 'Save').click()
  const clash = dialog(other, 'Somebody else has saved')
  await expect(clash.getByRole('button', { name: 'Choose in 1 more place' })).toBeVisible()
  await expectNoViolationsInBoth(other)
  await clash.getByLabel('Take theirs').check()
  await clash.getByRole('button', { name: 'Take theirs, keep mine as a draft' }).click()
  await expect(other.getByRole('tab')).toHaveCount(2)
  await expect(other.getByRole('tab', { name: /^monolith-mine.yaml ?, not saved$/ })).toBeVisible()
  // Saved later all the same, it writes nothing over.
  await tool(other, 'Save').click()
  await expect(dialog(other, 'Somebody else has saved')).toBeVisible()
})

test('another tab hears of a save, and of a change by hand when it is come back to', async ({ visitor, startOwn }) => {
  const store = await startOwn({ ownConfig: true })
  const page = await visitor()
  const admin = await enter(page, store, 'admin')
  const second = await page.context().newPage()
  await loaded(second, store)
  await loaded(page, store)
  await keep(page, '77')
  await tool(page, 'Save').click()
  await saved(page, 'a quieter day')
  await confirm(page, admin)
  await expect(dialog(page, 'Saved')).toBeVisible()
  await expect(second.getByText('The process has another config by now')).toBeVisible()
  await second.getByRole('button', { name: 'Take it' }).click()
  await node(second, 'spa').click()
  await expect(properties(second).getByLabel('Cache Max Age')).toHaveValue('77s')
  await expect(second.getByText('The process has another config by now')).toHaveCount(0)
  writeFileSync(configOf(store), textOf(store).replace('cacheMaxAge: 77', 'cacheMaxAge: 79s'))
  await second.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))
  await expect(second.getByText('The process has another config by now')).toBeVisible()
})

test('the history tells every config, and leads back to one', async ({ visitor, startOwn }) => {
  const store = await startOwn({ ownConfig: true })
  const page = await visitor()
  const admin = await enter(page, store, 'admin')
  const before = textOf(store)
  await loaded(page, store)
  await keep(page, '77')
  await tool(page, 'Save').click()
  await saved(page, 'a quieter day')
  await confirm(page, admin)
  await dialog(page, 'Saved').getByRole('link', { name: 'All versions' }).click()
  const rows = page.getByRole('table', { name: 'Configs' }).getByRole('row')
  await expect(rows).toHaveCount(3)
  await expect(rows.nth(1)).toContainText('a quieter day')
  await expect(rows.nth(1)).toContainText('the file')
  await expectNoViolationsInBoth(page)
  await rows.nth(2).getByRole('link').click()
  await expect(page.getByRole('heading', { name: /^Config [0-9a-f]{8}$/ })).toBeVisible()
  await expect(page.getByRole('region', { name: 'What changes' })).toContainText('module spa')
  await expectNoViolationsInBoth(page)
  await page.getByRole('button', { name: 'Roll back to it' }).click()
  const question = page.getByRole('dialog', { name: /^Roll back to/ })
  await expect(question).toContainText(/millrace config rollback [0-9a-f]{12} --reason/)
  await question.getByLabel('Reason').fill('too quiet')
  await question.getByRole('button', { name: 'Roll back', exact: true }).click()
  await expect(rows).toHaveCount(4)
  await expect(rows.nth(1)).toContainText('too quiet')
  expect(textOf(store)).toBe(before)
})

test.describe('in the dark', () => {
  test.use({ colorScheme: 'dark' })
  test('a save and the history can be read', async ({ page, store }) => {
    await enter(page, store, 'admin')
    await loaded(page, store)
    await keep(page, '77')
    await tool(page, 'Save').click()
    await expect(dialog(page).getByRole('region', { name: 'What changes' })).toBeVisible()
    await expectNoViolations(page)
    await page.keyboard.press('Escape')
    await page.goto(consoleOf(store, '/history'))
    await expect(page.getByRole('heading', { name: 'History of the config' })).toBeVisible()
    await expectNoViolations(page)
  })
})
