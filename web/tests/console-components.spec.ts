/** Components in the console: another version is uploaded, tried, compared, has a share, serves, and is taken back. */
import { join } from 'node:path'
import { Keys } from './keys'
import { consoleOf, declined, enter, paid } from './operator'
import { repository } from './running/program'
import { expect, expectNoViolationsInBoth, test } from './store'

const NEW = join(process.env.COMPONENTS_DIR ?? join(repository, 'target/components'), 'payment-v2.wasm')

test('a version is uploaded, tried on the data of an order, serves, and is rolled back', async ({ page, startOwn }) => {
  const own = await startOwn()
  const id = await declined(own)
  await paid(own)
  await enter(page, own, 'designer')
  await page.getByRole('link', { name: 'Components' }).click()
  await expect(page.getByRole('row', { name: /payment-processor/ })).toContainText(/[0-9a-f]{8}/)
  await expectNoViolationsInBoth(page)
  await page.getByRole('link', { name: 'payment-processor' }).click()
  await expect(page.getByRole('heading', { name: 'payment-processor' })).toBeFocused()
  const served = page.locator('.component-title code')
  const before = await served.innerText()
  await expectNoViolationsInBoth(page)

  await page
    .getByLabel('Component file')
    .setInputFiles({ name: 'x.wasm', mimeType: 'application/wasm', buffer: Buffer.from('no') })
  await expect(page.getByRole('alert')).toBeVisible()
  await page.getByLabel('Component file').setInputFiles(NEW)
  await expect(page.getByText('is good and kept. It does not serve yet.')).toBeVisible()
  await expect(served).toHaveText(before)

  await page.getByRole('button', { name: 'Try…' }).first().click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Id of an instance').fill(id)
  await expect(dialog.locator('.command-line')).toContainText(`--instance orders ${id}`)
  await dialog.getByRole('button', { name: 'Try it' }).click()
  await expect(dialog.getByText('Outcome')).toBeVisible()
  await expectNoViolationsInBoth(page)
  await dialog.getByRole('button', { name: 'Close' }).click()

  await page.getByRole('button', { name: 'Have it serve…' }).click()
  await page.getByLabel('Reason').fill('the new one')
  await page.getByRole('dialog').getByRole('button', { name: 'Have it serve' }).click()
  await expect(served).not.toHaveText(before)
  await page.getByRole('row', { name: before }).getByRole('button', { name: 'Roll back to it…' }).click()
  await page.getByLabel('Reason').fill('not yet')
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
  await expect(served).toHaveText(before)
})

test('by keys alone a version is compared with the one that serves, and gets a share of what is new until somebody stops it', async ({
  page,
  startOwn,
}) => {
  const own = await startOwn()
  await paid(own)
  await paid(own)
  await enter(page, own, 'designer')
  const keys = new Keys(page)
  await keys.press(page.getByRole('link', { name: 'Components' }))
  await keys.press(page.getByRole('link', { name: 'payment-processor' }))
  await expect(page.getByRole('heading', { name: 'payment-processor' })).toBeFocused()
  const chosen = page.waitForEvent('filechooser')
  await keys.press(page.getByRole('button', { name: 'Upload a version…' }))
  await (await chosen).setFiles(NEW)
  await expect(page.getByText('is good and kept. It does not serve yet.')).toBeVisible()
  await keys.expectKept()

  const comparing = page.getByRole('button', { name: 'Compare…' })
  await keys.press(comparing)
  const comparison = page.getByRole('dialog', { name: 'Compare' })
  await keys.expectTrapped(comparison, comparing)
  await keys.press(comparing)
  await keys.type(comparison.getByLabel('Jobs'), '2')
  await expect(comparison.locator('.command-line')).toContainText(
    /components compare payment-processor [0-9a-f]{64} --limit 2/,
  )
  await keys.press(comparison.getByRole('button', { name: 'Compare them' }))
  await expect(comparison.getByText(/of 2 jobs were answered alike/)).toBeVisible()
  await expectNoViolationsInBoth(page)
  await keys.press(comparison.getByRole('button', { name: 'Close' }))
  await expect(comparing).toBeFocused()

  await keys.press(page.getByRole('button', { name: 'Canary…' }))
  const dialog = page.getByRole('dialog', { name: 'Canary of' })
  await keys.type(dialog.getByLabel('Percent of the new visits'), '50')
  await keys.type(dialog.getByLabel('Ends after so many runs'), '10000')
  await keys.type(dialog.getByLabel('Reason'), 'is it as good')
  await expect(dialog.locator('.command-line')).toContainText("--share 50 --runs 10000 --reason 'is it as good'")
  await expectNoViolationsInBoth(page)
  await keys.press(dialog.getByRole('button', { name: 'Begin it' }))
  const panel = page.getByRole('region', { name: 'Canary' })
  await expect(panel.getByRole('status')).toContainText('50 % of the new visits')
  await keys.expectKept()
  const runs = (of: string) => panel.getByRole('row', { name: of }).getByRole('cell').nth(1)
  // Which visits it gets follows from their keys: after some orders both have had one.
  await expect(async () => {
    await paid(own)
    for (const of of ['the canary', 'what serves']) await expect(runs(of)).not.toHaveText('0', { timeout: 3_000 })
  }).toPass({ timeout: 120_000 })
  await expect(panel.getByRole('row', { name: 'the canary' })).toContainText(/ms|s$/)
  await expectNoViolationsInBoth(page)

  const stopping = panel.getByRole('button', { name: 'Stop it…' })
  await keys.press(stopping)
  const stop = page.getByRole('dialog', { name: 'Stop the canary' })
  await keys.expectTrapped(stop, stopping)
  await keys.press(stopping)
  await keys.type(stop.getByLabel('Reason'), 'seen enough')
  await expect(stop.locator('.command-line')).toContainText(
    "millrace components canary payment-processor --stop --reason 'seen enough'",
  )
  await keys.press(stop.getByRole('button', { name: 'Stop it' }))
  const last = page.getByRole('region', { name: 'The last canary' })
  await expect(last.getByText('stopped', { exact: true })).toBeVisible()
  await keys.expectKept()
  await expectNoViolationsInBoth(page)
})

test('who may not change components sees them, and what it takes', async ({ page, store }) => {
  await page.goto(consoleOf(store, '/components/payment-processor'))
  await expect(page.getByText('takes the role designer')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Try…' }).first()).toBeDisabled()
})
