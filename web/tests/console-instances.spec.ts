/** Instances in the console: found, followed, acted on, one and many. */
import { consoleOf, declined, enter, paid } from './operator'
import { expect, expectNoViolations, expectNoViolationsInBoth, test } from './store'

test('an order that waits is found by its state, held with a reason, released, and made to go on', async ({
  page,
  store,
}) => {
  const id = await declined(store)
  await enter(page, store, 'operator')
  await page.getByRole('button', { name: /^payment failed \d+$/ }).click()
  await expect(page).toHaveURL(/state=payment_failed/)
  await expect(page.locator('.command-line')).toContainText(
    'millrace instances list --workflow order-processing --state payment_failed',
  )
  await page.getByRole('searchbox').fill(id)
  await page.getByRole('link', { name: id }).click()

  await expect(page.getByRole('heading', { name: id })).toBeFocused()
  await expect(page.getByText(/fires 'retry_payment'/)).toBeVisible()
  await expect(page.locator('.stay', { hasText: 'paying' }).getByText('rejected')).toBeVisible()
  await expectNoViolationsInBoth(page)

  await page.getByRole('button', { name: 'Hold' }).click()
  const dialog = page.getByRole('dialog', { name: 'Hold' })
  await dialog.getByLabel('Reason').fill('the bank is asked')
  await expect(dialog.locator('.command-line')).toContainText(
    `millrace instances hold orders ${id} --reason 'the bank is asked'`,
  )
  await expectNoViolationsInBoth(page)
  await dialog.getByRole('button', { name: 'Hold' }).click()
  await expect(
    page.getByText(/Nothing begins, no timer fires and no event moves it until it is released/),
  ).toBeVisible()
  await expect(page.locator('.instance-attention', { hasText: 'the bank is asked' })).toBeVisible()
  await expect(page.locator('.instance-attention', { hasText: 'Held by you since' })).toBeVisible()
  await page.getByRole('button', { name: 'Release' }).click()
  await page.getByLabel('Reason').fill('it ans')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Release' }).click()
  await expect(page.getByLabel('Reason'), 'what was typed is there again').toHaveValue('it ans')
  await page.getByLabel('Reason').fill('it answers')
  await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click()
  await expect(page.getByRole('button', { name: 'Hold' })).toBeVisible()

  await page.getByRole('button', { name: 'Fire abandon_payment' }).click()
  await page.getByLabel('Reason').fill('the customer gave up')
  await page.getByRole('dialog').getByRole('button', { name: 'Fire abandon_payment' }).click()
  await expect(page.getByRole('status').getByText('cancelled')).toBeVisible()
  await expect(page.getByText(/has ended in 'cancelled'/)).toBeVisible()
})

test('one history is seen as stays, on a line of time, and as it was written', async ({ page, store }) => {
  const id = await paid(store)
  await page.goto(consoleOf(store, `/instances/orders/${id}`))
  await expect(page.locator('.stay')).not.toHaveCount(0)
  const stays = await page.locator('.stay').count()
  const changed = page.locator('.stay', { hasText: 'waits for step-payment' }).locator('.changes')
  await expect(changed, 'what the step has changed').toContainText(/transaction_id\s*new "txn_\w+"/)
  await page.getByRole('button', { name: 'Timeline' }).click()
  await expect(page).toHaveURL(/view=timeline/)
  await expect(page.locator('.timeline > li')).toHaveCount(stays)
  const paying = page.locator('.timeline > li', { hasText: 'paying' })
  await expect(paying.locator('.timeline-bar')).toHaveAttribute('data-kind', 'step')
  await expect(page.locator('.timeline > li', { hasText: 'delivered' })).toContainText('the end')
  await expect(paying.locator('code')).toHaveText(/^[0-9a-f]{8}$/)
  await expectNoViolationsInBoth(page)
  await expect(paying.locator('.timeline-attempt')).toHaveCount(1)
  await page.getByRole('button', { name: 'History' }).click()
  await expect(page.getByRole('table', { name: 'History' }).getByRole('row')).toHaveCount(stays + 1)
  await expectNoViolationsInBoth(page)
  await page.reload()
  await expect(page.getByRole('table', { name: 'History' })).toBeVisible()
})

test('on the line of time a timer is a flag: what it will do, and what it has done', async ({ page, startOwn }) => {
  const own = await startOwn({ environment: { PAYMENT_RETRY_AFTER: '5s' } })
  const id = await declined(own)
  await page.goto(consoleOf(own, `/instances/orders/${id}?view=timeline`))
  const waits = page.locator('.timeline > li', { hasText: 'payment failed' })
  await expect(waits.last().getByText(/^a timer fires retry payment/)).toBeVisible()
  await expect(waits.last().locator('.timeline-flag')).toBeVisible()
  await expect(waits.first().getByText('a timer fired retry payment')).toBeVisible()
  await expect(waits.first().locator('.timeline-flag')).toBeVisible()
  await expectNoViolationsInBoth(page)
})

test('all that a filter finds are held at once, after a look at how many', async ({ page, startOwn }) => {
  const own = await startOwn()
  const ids = await Promise.all([declined(own), declined(own), declined(own)])
  await enter(page, own, 'support')
  await page.getByRole('button', { name: /^payment failed 3$/ }).click()
  await page.getByRole('button', { name: 'Act on all of these…' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByRole('status')).toContainText('3 instances fit')
  for (const id of ids) await expect(dialog.getByRole('status')).toContainText(id)
  await dialog.getByLabel('What to do').selectOption('hold')
  await dialog.getByLabel('Reason').fill('the bank is down')
  await expect(dialog.locator('.command-line')).toContainText("--reason 'the bank is down' --yes --expected 3")
  await expectNoViolationsInBoth(page)
  await dialog.getByRole('button', { name: 'Hold 3' }).click()
  await expect(page.getByRole('dialog', { name: 'Done for 3' })).toBeVisible()
  await page.getByRole('button', { name: 'Close' }).click()
  await page.getByLabel('Held').check()
  await expect(page).toHaveURL(/held=true/)
  for (const id of ids) await expect(page.getByRole('row', { name: id }).getByText('held')).toBeVisible()
})

test('two tabs share one stream, and both see what happens', async ({ page, context, startOwn }) => {
  const own = await startOwn()
  const streams: string[] = []
  context.on('request', (request) => {
    if (request.url().endsWith('/operator/live')) streams.push(request.url())
  })
  await page.goto(consoleOf(own, '/instances'))
  await expect(page.locator('.process')).toHaveAttribute('data-state', 'live')
  const other = await context.newPage()
  await other.goto(consoleOf(own, '/instances'))
  await expect(other.locator('.process')).toHaveAttribute('data-state', 'live')
  const id = await declined(own)
  for (const each of [page, other]) {
    await each.bringToFront()
    await expect(each.getByRole('button', { name: /^payment failed 1$/ })).toBeVisible()
    await expect(each.getByRole('link', { name: id })).toBeVisible()
  }
  expect(streams.length).toBeLessThanOrEqual(3)
})

test('who only looks is told what it takes to act', async ({ page, store }) => {
  const id = await declined(store)
  await page.goto(consoleOf(store, '/instances'))
  await expect(page.getByRole('button', { name: 'Act on all…' })).toBeDisabled()
  await expect(page.getByText('takes the role support or operator')).toBeVisible()
  await page.goto(consoleOf(store, `/instances/orders/${id}`))
  await expect(page.getByRole('button', { name: 'Hold' })).toBeDisabled()
  await page.goto(consoleOf(store, '/instances/orders/no-such'))
  await expect(page.getByRole('heading', { name: 'There is no such instance' })).toBeVisible()
})

for (const theme of ['light', 'dark'] as const) {
  test(`on a phone nothing runs out of the screen, in ${theme}`, async ({ visitor, store }) => {
    const id = await declined(store)
    const page = await visitor({ viewport: { width: 320, height: 640 }, colorScheme: theme })
    for (const path of [
      '/instances',
      `/instances/orders/${id}`,
      `/instances/orders/${id}?view=timeline`,
      '/waiting',
      '/components',
      '/components/payment-processor',
      '/audit',
      '/sign-in',
    ]) {
      await page.goto(consoleOf(store, path))
      await expect(page.locator('h1')).toBeVisible()
      await expectNoViolations(page)
      const sideways = () => document.documentElement.scrollWidth - document.documentElement.clientWidth
      expect(await page.evaluate(sideways), path).toBe(0)
    }
  })
}
