/** axe on the pages of the console that have nothing to show, or cannot: empty lists, what is not there, and a process that fails. */
import { consoleOf, enter } from './operator'
import { expect, expectNoViolationsInBoth, test } from './store'

const EMPTY = [
  ['/instances?text=nothing-of-that-name', 'Instances'],
  ['/waiting', 'Waiting'],
  ['/history', 'History of the config'],
] as const

// Each state is looked at twice, and each look takes seconds on a busy machine.
test.setTimeout(600_000)

test('nothing is found on a list that is empty', async ({ page, startOwn }) => {
  const own = await startOwn()
  for (const [path, heading] of EMPTY) {
    await page.goto(consoleOf(own, path))
    await expect(page.getByRole('heading', { name: heading, level: 1 })).toBeVisible()
    await expectNoViolationsInBoth(page)
  }
})

const MISSING = ['/components/nobody', '/instances/orders/nobody', `/history/${'0'.repeat(64)}`, '/nowhere', '/audit']

test('nothing is found where there is nothing, or nothing for this person', async ({ page, store }) => {
  for (const path of MISSING) {
    await page.goto(consoleOf(store, path))
    await expect(page.locator('main')).toContainText(/not|no |for the role/i)
    await expectNoViolationsInBoth(page)
  }
})

const FAILING = ['/instances', '/waiting', '/components', '/components/payment-processor', '/history', '/processes']

test('nothing is found while a process cannot answer', async ({ page, store }) => {
  await page.route(/\/operator\/(instances|waiting|components|config|processes)/, (route) =>
    route.fulfill({ status: 503, json: { status: 503, detail: 'the database does not answer' } }),
  )
  for (const path of FAILING) {
    await page.goto(consoleOf(store, path))
    await expect(page.getByText(/does not answer|No process answers|Try again/).first()).toBeVisible()
    await expectNoViolationsInBoth(page)
  }
})

test('nothing is found where a dialog says what is wrong with what was typed', async ({ page, startOwn }) => {
  const own = await startOwn()
  await enter(page, own, 'designer')
  await page.goto(consoleOf(own, '/components/payment-processor'))
  await page.getByRole('button', { name: 'Try…' }).first().click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Or the data itself').fill('no object')
  await dialog.getByRole('button', { name: 'Try it' }).click()
  await expect(dialog.getByRole('alert')).toContainText('no JSON object')
  await expectNoViolationsInBoth(page)
})
