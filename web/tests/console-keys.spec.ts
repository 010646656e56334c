/** The console by keys alone: every page is reached, every deed is done, and the focus is never lost. */
import { Keys } from './keys'
import { consoleOf, declined } from './operator'
import { newMember } from './staff'
import { expect, expectNoViolations, test } from './store'

test('who has no mouse signs in, finds an instance, acts on it, acts on all, and reads what was done', async ({
  page,
  startOwn,
}) => {
  const own = await startOwn()
  const [id] = [await declined(own), await declined(own)]
  const member = await newMember(own, 'operator', 'admin')
  const keys = new Keys(page)
  const way = async (name: string) => {
    await keys.press(page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name }))
    await expect(page.getByRole('heading', { name, level: 1 })).toBeFocused()
  }
  /** A deed about which is asked first: Escape leaves it, Enter does it. */
  const act = async (opener: string, action: string, reason: string) => {
    const button = page.getByRole('button', { name: opener })
    const dialog = page.getByRole('dialog')
    await keys.press(button)
    await keys.expectTrapped(dialog, button)
    await keys.press(button)
    await keys.type(dialog.getByLabel('Reason'), reason)
    await keys.press(dialog.getByRole('button', { name: action, exact: true }))
    await expect(dialog).toHaveCount(0)
    await keys.expectKept()
  }

  await page.goto(consoleOf(own, '/instances'))
  await keys.press(page.getByRole('link', { name: 'Sign in' }))
  await keys.type(page.getByLabel('Email'), member.email)
  await keys.type(page.getByLabel('Password', { exact: true }), member.password)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'Instances', level: 1 })).toBeVisible()
  await keys.expectKept()

  // The skip link is the first thing that Tab leads to from the top, and leads beside the menu.
  await page.reload()
  await expect(page.locator('.process')).toHaveAttribute('data-state', 'live')
  await page.keyboard.press('Tab')
  await expect(page.getByRole('button', { name: 'Skip to content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('main')).toBeFocused()

  await keys.press(page.getByRole('button', { name: /^payment failed 2$/ }))
  await expect(page.getByRole('button', { name: /^payment failed 2$/ })).toBeFocused()
  await keys.choose(page.getByLabel('Unchanged for'), 'Any', '')
  await keys.press(page.getByRole('button', { name: 'Copy the command' }))
  await keys.type(page.getByRole('searchbox'), id)
  await expect(page.getByRole('row')).toHaveCount(2)
  await expect(page.getByRole('searchbox')).toBeFocused()
  await keys.press(page.getByRole('link', { name: id }))
  await expect(page.getByRole('heading', { name: id })).toBeFocused()

  await act('Hold', 'Hold', 'the bank is asked')
  await expect(page.locator('.instance-attention', { hasText: 'the bank is asked' })).toBeVisible()
  await act('Release', 'Release', 'it answers')
  await expect(page.getByRole('button', { name: 'Hold' })).toBeVisible()
  for (const view of ['Timeline', 'History', 'Stages']) {
    await keys.press(page.getByRole('button', { name: view }))
    await expect(page.getByRole('button', { name: view })).toHaveAttribute('aria-pressed', 'true')
    await expect(page.getByRole('button', { name: view })).toBeFocused()
  }
  await act('Fire retry_payment', 'Fire retry_payment', 'once more')
  await act('Fire abandon_payment', 'Fire abandon_payment', 'the customer gave up')
  await expect(page.getByText(/has ended in 'cancelled'/)).toBeVisible()

  await way('Waiting')
  await keys.press(page.getByRole('row', { name: /retry_payment/ }).getByRole('link'))
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused()

  await way('Instances')
  await keys.press(page.getByRole('button', { name: /^payment failed 1$/ }))
  const all = page.getByRole('button', { name: 'Act on all of these…' })
  const bulk = page.getByRole('dialog')
  await keys.press(all)
  await keys.expectTrapped(bulk, all)
  await keys.press(all)
  await keys.choose(bulk.getByLabel('What to do'), 'cancel')
  await keys.type(bulk.getByLabel('Reason'), 'the bank is gone')
  await keys.press(bulk.getByRole('button', { name: 'Cancel 1' }))
  await expect(page.getByRole('dialog', { name: 'Done for 1' })).toBeVisible()
  await keys.press(page.getByRole('button', { name: 'Close' }))
  await expect(bulk).toHaveCount(0)
  await expect(all).toBeFocused()

  await way('Audit')
  await keys.type(page.getByLabel('What', { exact: true }), 'orders.hold')
  await page.keyboard.press('Enter')
  await expect(page.getByText('the bank is asked')).toBeVisible()
  await keys.expectKept()
  await expect(page.getByText('the bank is gone')).toHaveCount(0)
  await keys.press(page.getByRole('row', { name: /the bank is asked/ }).getByText(/^\d+$/))
  await expect(page.getByText(/^hash |, hash /)).toBeVisible()
  await expectNoViolations(page)
  await keys.press(page.getByRole('button', { name: 'Sign out' }))
  await keys.expectKept()
})
