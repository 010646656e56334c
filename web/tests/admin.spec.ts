/** The admin: who gets in, and what they find there. */

import { newMember, signIn, ways } from './staff'
import { expect, expectNoViolations, test } from './store'

test('who works here signs in, finds what their roles are for, and signs out', async ({ page, store }) => {
  const member = await newMember(store, 'catalogue', 'admin')
  await signIn(page, member)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Good to see you, Grace')
  expect(await ways(page)).toEqual(['Overview', 'Products', 'Stock', 'People', 'Audit'])

  await page.goto('/admin/#/orders')
  await expect(page.getByRole('heading', { name: 'This page is not for your roles' })).toBeVisible()
  await expectNoViolations(page)

  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await expect(page.getByText('You are signed out')).toBeVisible()
  expect(await page.evaluate(() => sessionStorage.getItem('desk-session'))).toBeNull()
})

test('a link into the admin leads there after the sign in, a reload stays, and another tab is asked for the password @alike', async ({
  page,
  context,
  store,
}) => {
  const member = await newMember(store, 'admin')
  await signIn(page, member, '/account')
  await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible()
  await expect(page).toHaveURL(/\/admin\/#\/account$/)
  await page.reload()
  await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible()
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain('token')

  const other = await context.newPage()
  await other.goto('/admin/#/account')
  await expect(other.getByRole('heading', { name: 'Sign in' })).toBeVisible()
})

test('a customer who finds the admin finds nothing there @alike', async ({ page, store }) => {
  await signIn(page, await newMember(store))
  await expect(page.getByRole('heading', { name: 'Your account has no role here' })).toBeVisible()
  expect(await ways(page)).toEqual(['Overview'])
  await expectNoViolations(page)
  await page.getByRole('link', { name: 'Go to the store' }).click()
  await expect(page.getByRole('heading', { name: 'Products' })).toBeVisible()
  // The two know nothing of each other's sessions.
  await expect(page.getByRole('link', { name: 'Login' })).toBeVisible()
})

test('a wrong password is said beside it, and leads nowhere @alike', async ({ page, store }) => {
  const member = await newMember(store, 'support')
  await page.goto('/admin/')
  await page.getByLabel('Email').fill(member.email)
  await page.getByLabel('Password').fill('not the password')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByText('do not belong together')).toBeVisible()
  await expect(page.getByLabel('Password')).toBeFocused()
  await expectNoViolations(page)
})

test('a token that is taken no longer leads to the sign in, and back to where one was @alike', async ({
  page,
  store,
}) => {
  const member = await newMember(store, 'support')
  await signIn(page, member, '/account?kept=yes')
  await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible()
  await page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem('desk-session') ?? '{}')
    sessionStorage.setItem('desk-session', JSON.stringify({ ...session, token: `${session.token}x` }))
  })
  await page.reload()
  await expect(page.getByText('Your session has ended')).toBeVisible()
  await page.getByLabel('Email').fill(member.email)
  await page.getByLabel('Password').fill(member.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible()
  await expect(page).toHaveURL(/#\/account\?kept=yes$/)
})

for (const theme of ['light', 'dark'] as const) {
  test(`on a phone the menu opens and closes by keyboard, in ${theme} @alike`, async ({ visitor, store }) => {
    const page = await visitor({ viewport: { width: 320, height: 640 }, colorScheme: theme })
    await signIn(page, await newMember(store, 'support', 'catalogue', 'finance', 'admin'))
    await expect(page.getByRole('heading', { level: 1 })).toBeFocused()
    const menu = page.getByRole('button', { name: 'Menu' })
    await expect(menu).toHaveAttribute('aria-expanded', 'false')
    await menu.focus()
    await page.keyboard.press('Enter')
    await expectNoViolations(page)
    await page.keyboard.press('Escape')
    await expect(menu).toHaveAttribute('aria-expanded', 'false')
    await page.keyboard.press('Enter')
    await expect(menu).toHaveAttribute('aria-expanded', 'true')
    await page.keyboard.press('Tab')
    await expect(page.getByRole('link', { name: 'Overview', exact: true })).toBeFocused()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await expect(page.getByRole('heading', { name: 'Orders', level: 1 })).toBeFocused()
    await expect(menu).toHaveAttribute('aria-expanded', 'false')
    const sideways = () => document.documentElement.scrollWidth - document.documentElement.clientWidth
    expect(await page.evaluate(sideways)).toBe(0)
  })
}
