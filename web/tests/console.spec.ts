/** The console: who sees what of a process, from where, and that it needs none to open. */
import { consoleOf, enter } from './operator'
import { ways } from './staff'
import { expect, expectNoViolationsInBoth, test } from './store'

const MENU = ['Editor', 'Instances', 'Waiting', 'Components', 'History', 'Audit']

/** Without how many there are just now. */
function names(ways: string[]): string[] {
  return ways.map((way) => way.split('\n')[0] ?? '')
}

test('who is on this machine looks without signing in', async ({ page, store }) => {
  await page.goto(`${store.service('orders').operatorUrl}/`)
  await expect(page).toHaveURL(/\/console\/$/)
  expect(names(await ways(page))).toEqual(MENU)
  await page.goto(consoleOf(store, '/instances'))
  await expect(page.getByRole('heading', { name: 'Instances', level: 1 })).toBeVisible()
  await expect(page.getByText('This machine')).toBeVisible()
  await expect(page.locator('.process')).toHaveAttribute('data-state', 'live')
  await expectNoViolationsInBoth(page)
})

test('who works here signs in at the console itself, and out again', async ({ page, store }) => {
  const member = await enter(page, store, 'operator')
  await expect(page.getByText(member.name)).toBeVisible()
  await page.reload()
  await expect(page.getByText(member.name)).toBeVisible()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByText('You are signed out')).toBeVisible()
  await expect(page.getByText('This machine')).toBeVisible()
})

test('a token is enough where there is one, and a wrong one is refused', async ({ page, store }) => {
  await page.goto(consoleOf(store, '/sign-in'))
  await page.getByText('Sign in with a token').click()
  await page.getByLabel('Token').fill('no.good.token')
  await page.getByRole('button', { name: 'Use this token' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await expectNoViolationsInBoth(page)
})

test('without a process the first page opens, and the others say how to start one', async ({ page, startOwn }) => {
  const own = await startOwn()
  await page.goto(consoleOf(own, '/instances'))
  await expect(page.getByRole('heading', { name: 'Instances', level: 1 })).toBeVisible()
  const process = own.service('orders')
  await process.kill()
  await expect(page.locator('.process')).toHaveAttribute('data-state', 'lost')
  await page.route('**/operator/**', (route) => route.abort())
  await page.evaluate(() => sessionStorage.clear())
  await process.startAgain()
  await page.reload()
  await expect(page.getByRole('heading', { name: 'No process answers here' })).toBeVisible()
  await expect(page.locator('.command-line')).toContainText('millrace run')
  await expectNoViolationsInBoth(page)
  await page.getByRole('link', { name: 'Editor', exact: true }).click()
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.goto(consoleOf(own, '/waiting'))
  await page.unroute('**/operator/**')
  await expect(page.getByRole('heading', { name: 'Waiting', level: 1 })).toBeVisible()
})
