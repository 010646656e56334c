/** Accounts in the admin: the second factor, the password again, roles of others, and what the audit log says of it. */
import type { Page } from '@playwright/test'
import { codeOf, newMember, signIn, ways } from './staff'
import { expect, expectNoViolations, test } from './store'

/** Sets a second factor up on the page of the account; gives its key and the codes for when it is lost. */
async function enrol(page: Page, password: string) {
  await page.goto('/admin/#/account')
  await page.getByRole('button', { name: 'Set it up' }).click()
  await confirmWith(page, password)
  await expect(page.getByRole('img', { name: 'The key as a picture' })).toBeVisible()
  const secret = (await page.locator('.factor-secret code').innerText()).replaceAll(/\s/g, '')
  await expectNoViolations(page)
  await page.getByLabel('Code').fill('000000')
  await page.getByRole('button', { name: 'Confirm' }).click()
  await expect(page.getByText('This is not the code of now')).toBeVisible()
  await page.getByLabel('Code').fill(codeOf(secret, Date.now()))
  await page.getByRole('button', { name: 'Confirm' }).click()
  const codes = page.locator('.factor-recovery code')
  await expect(codes.first()).toBeVisible()
  await expectNoViolations(page)
  return { secret, recovery: await codes.allInnerTexts() }
}

async function signOut(page: Page) {
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
}

/** The dialog that asks for it again. */
async function confirmWith(page: Page, password: string) {
  const dialog = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await dialog.getByLabel('Password').fill(password)
  await dialog.getByRole('button', { name: 'Confirm' }).click()
}

test('a second factor is set up, asked for at the next sign in, and a lost device is got around by a recovery code @alike', async ({
  page,
  store,
}) => {
  const member = await newMember(store, 'finance')
  await signIn(page, member)
  const { recovery } = await enrol(page, member.password)
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.getByRole('button', { name: 'Copy them' }).click()
  await expect(page.getByText('Copied')).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(recovery.join('\n'))
  await page.getByRole('button', { name: 'I have them' }).click()
  await expect(page.locator('.factor-recovery')).toHaveCount(0)

  await signOut(page)
  await page.getByLabel('Email').fill(member.email)
  await page.getByLabel('Password').fill(member.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  const code = page.getByLabel('Code')
  await expect(code).toBeFocused()
  await expectNoViolations(page)
  await code.fill('12345')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByText('do not belong together')).toBeVisible()
  await code.fill(recovery[0] ?? '')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.locator('.desk-shell')).toBeVisible()
})

test('an admin gives a role and takes an account out, with the password again and a reason that the audit log keeps', async ({
  page,
  visitor,
  store,
}) => {
  const admin = await newMember(store, 'admin')
  const other = await newMember(store)
  await signIn(page, admin, `/people?search=${encodeURIComponent(other.email)}`)
  await expect(page.getByRole('row')).toHaveCount(2)
  await expectNoViolations(page)

  await page.getByRole('button', { name: 'Roles of' }).click()
  const dialog = page.getByRole('dialog', { name: 'Roles of' })
  await dialog.getByLabel('catalogue').check()
  await dialog.getByLabel('Reason').fill('She keeps the shelves from today')
  await expectNoViolations(page)
  await dialog.getByRole('button', { name: 'Save roles' }).click()
  await confirmWith(page, 'not the password')
  await expect(page.getByText('This is not right')).toBeVisible()
  await expectNoViolations(page)
  await confirmWith(page, admin.password)
  await expect(page.getByText('are changed')).toBeVisible()
  await expect(page.getByRole('cell').filter({ hasText: 'catalogue' })).toBeVisible()

  const theirs = await visitor()
  await signIn(theirs, other)
  expect(await ways(theirs)).toEqual(['Overview', 'Products', 'Stock'])

  await page.getByRole('button', { name: 'Disable' }).click()
  const question = page.getByRole('dialog', { name: 'Disable' })
  await question.getByLabel('Reason').fill('She has left')
  await question.getByRole('button', { name: 'Disable' }).click()
  await expect(page.getByText('can sign in no more')).toBeVisible()
  await theirs.goto('/admin/#/account')
  await theirs.reload()
  await expect(theirs.getByText('Your session has ended')).toBeVisible()

  const shopper = await newMember(store)
  await page.goto('/admin/#/people')
  await page.getByLabel('Search people').fill('')
  await expect(page.getByText(shopper.email)).toBeVisible()
  await page.getByLabel('Only who works here').click()
  await expect(page.getByText(shopper.email)).toHaveCount(0)
  await expect(page.getByRole('table', { name: 'People' }).getByText(admin.email)).toBeVisible()
  await expect(page).toHaveURL(/staff=true/)
  await expectNoViolations(page)

  await page.goto('/admin/#/audit')
  await expect(page.getByText('She has left')).toBeVisible()
  await expect(page.getByText('She keeps the shelves from today')).toBeVisible()
  await page
    .getByText(/^Entry/)
    .first()
    .click()
  await expectNoViolations(page)
})

test('a deed is not done when the password is not given again @alike', async ({ page, store }) => {
  const other = await newMember(store)
  await signIn(page, await newMember(store, 'admin'), `/people?search=${encodeURIComponent(other.email)}`)
  await page.getByRole('button', { name: 'Disable' }).click()
  const question = page.getByRole('dialog', { name: 'Disable' })
  await question.getByLabel('Reason').fill('A mistake')
  await question.getByRole('button', { name: 'Disable' }).click()
  await expect(page.getByRole('dialog', { name: 'Confirm that it is you' })).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(question.getByText('nothing was changed')).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(page.getByRole('button', { name: 'Disable' })).toBeFocused()
})

test('another password ends the other sessions of the account, and not this one @alike', async ({
  page,
  visitor,
  store,
}) => {
  const member = await newMember(store, 'support')
  const elsewhere = await visitor()
  await signIn(elsewhere, member, '/account')
  await signIn(page, member, '/account')
  await page.getByLabel('Current password').fill('not the password')
  await page.getByLabel('New password').fill('another long password')
  await page.getByRole('button', { name: 'Change password' }).click()
  await expect(page.getByLabel('Current password')).toBeFocused()
  await page.getByLabel('Current password').fill(member.password)
  await page.getByRole('button', { name: 'Change password' }).click()
  await expect(page.getByText('Your password is changed')).toBeVisible()
  await page.reload()
  await expect(page.getByRole('button', { name: 'Change password' })).toBeVisible()
  await elsewhere.reload()
  await expect(elsewhere.getByText('Your session has ended')).toBeVisible()
})
