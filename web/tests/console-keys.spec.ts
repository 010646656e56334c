/** The console by keys alone: every page is reached, every deed is done, and the focus is never lost. */
import { join } from 'node:path'
import type { Locator } from '@playwright/test'
import { Keys } from './keys'
import { consoleOf, declined } from './operator'
import { repository } from './running/program'
import { newMember } from './staff'
import { expect, expectNoViolationsInBoth, test } from './store'

const NEW = join(process.env.COMPONENTS_DIR ?? join(repository, 'target/components'), 'payment-v2.wasm')

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
  await expectNoViolationsInBoth(page)
  await keys.press(page.getByRole('button', { name: 'Sign out' }))
  await keys.expectKept()
})

test('who has no mouse mends what waits, has a step tried again, cancels, and has another version serve', async ({
  page,
  startOwn,
}) => {
  const own = await startOwn()
  const id = await declined(own)
  const member = await newMember(own, 'operator', 'designer')
  const keys = new Keys(page)
  const way = async (name: string) => {
    await keys.press(page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name }))
    await expect(page.getByRole('heading', { name, level: 1 })).toBeFocused()
  }
  const dialog = page.getByRole('dialog')
  const act = async (button: Locator, action: string, reason: string) => {
    await keys.press(button)
    await keys.expectTrapped(dialog, button)
    await keys.press(button)
    await keys.type(dialog.getByLabel('Reason'), reason)
    await keys.press(dialog.getByRole('button', { name: action, exact: true }))
    await expect(dialog).toHaveCount(0)
    await keys.expectKept()
  }
  // Nothing dies in a component that is good: what this process says of what waits has two such runs and two dead letters more.
  const mended: string[] = []
  const isLeft = (each: { mended: string }) => !mended.includes(each.mended)
  await page.route('**/operator/waiting', async (route) => {
    const response = await route.fetch()
    const waiting = await response.json()
    const run = {
      kind: 'orders',
      id,
      component: 'payment-processor',
      status: 'quarantined',
      crashes: 3,
      cause: 'it died',
    }
    const runs = ['order-a', 'order-b']
      .map((key) => ({ ...run, key, name: key, remedy: 'millrace waiting', mended: key }))
      .filter(isLeft)
    const letter = {
      topic: 'order.paid',
      key: id,
      consumer: 'handler',
      cause: 'nobody can read it',
      eventId: 'e',
      at: run.cause,
    }
    const items = [1, 2]
      .map((offset) => ({ ...letter, offset, remedy: 'millrace', mended: `letter ${offset}` }))
      .filter(isLeft)
    const deadLetters = { ...waiting.deadLetters, place: 'database', count: items.length, items }
    await route.fulfill({ response, json: { ...waiting, parked: runs.length, runs, deadLetters } })
  })
  await page.route('**/operator/waiting/*/*', async (route) => {
    const { keys: runs, topics, through, reason } = route.request().postDataJSON()
    expect(reason).toBe('it is mended')
    const of = (offset: number) => `letter ${offset}`
    mended.push(...(runs ?? (topics && through ? [of(through)] : [1, 2].map(of))))
    await route.fulfill({ json: { done: 1, left: 0, failed: [] } })
  })

  await page.goto(consoleOf(own, '/waiting'))
  await keys.press(page.getByRole('link', { name: 'Sign in' }))
  await keys.type(page.getByLabel('Email'), member.email)
  await keys.type(page.getByLabel('Password', { exact: true }), member.password)
  await page.keyboard.press('Enter')
  // Back where they came from, with nothing lost on the way.
  await expect(page.getByRole('heading', { name: 'Waiting', level: 1 })).toBeFocused()
  await act(
    page.getByRole('row', { name: 'order-a' }).getByRole('button', { name: 'Release…' }),
    'Let it go on',
    'it is mended',
  )
  await expect(page.getByRole('row', { name: 'order-a' })).toHaveCount(0)
  await keys.expectKept()
  await act(
    page.getByRole('row', { name: 'number 1' }).getByRole('button', { name: 'Discard…' }),
    'Discard',
    'it is mended',
  )
  await expect(page.getByRole('row', { name: 'number 1' })).toHaveCount(0)
  await keys.expectKept()
  await act(
    page.getByRole('row', { name: 'number 2' }).getByRole('button', { name: 'Send again…' }),
    'Send again',
    'it is mended',
  )
  await expect(page.getByText('None: every event was taken.')).toBeVisible()
  await keys.expectKept()
  await expectNoViolationsInBoth(page)

  // A run of it waits for a moment only, too short for hands: that one does is said for as long as nobody has asked for it.
  let isRetried = false
  await page.route(`**/operator/instances/orders/${id}`, async (route) => {
    const response = await route.fetch()
    const instance = await response.json()
    const retry = isRetried ? [] : [{ action: 'retry', command: 'millrace instances retry' }]
    await route.fulfill({ response, json: { ...instance, actions: [...retry, ...instance.actions] } })
  })
  await page.route(`**/operator/instances/orders/${id}/retry`, async (route) => {
    expect(route.request().postDataJSON()).toEqual({ reason: 'the bank is there again' })
    isRetried = true
    await route.fulfill({ json: { done: '1 of its runs are due now' } })
  })
  await page.goto(consoleOf(own, `/instances/orders/${id}`))
  await act(page.getByRole('button', { name: 'Retry now' }), 'Retry now', 'the bank is there again')
  await act(page.getByRole('button', { name: 'Cancel it' }), 'Cancel it', 'the customer calls')
  await expect(page.getByText(/cancelled/).first()).toBeVisible()

  await way('Components')
  await keys.press(page.getByRole('link', { name: 'payment-processor' }))
  const served = page.locator('.component-title code')
  const before = await served.innerText()
  const chosen = page.waitForEvent('filechooser')
  await keys.press(page.getByRole('button', { name: 'Upload a version…' }))
  await (await chosen).setFiles(NEW)
  await expect(page.getByText('is good and kept. It does not serve yet.')).toBeVisible()
  await act(page.getByRole('button', { name: 'Have it serve…' }), 'Have it serve', 'the new one')
  await expect(served).not.toHaveText(before)
  const old = page.getByRole('row', { name: before })
  await act(old.getByRole('button', { name: 'Roll back to it…' }), 'Roll back', 'not yet')
  await expect(served).toHaveText(before)
  await keys.expectKept()
})
