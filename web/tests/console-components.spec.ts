/** Components in the console: another version is uploaded, tried, serves, and is taken back. */
import { join } from 'node:path'
import { consoleOf, declined, enter, paid } from './operator'
import { repository } from './running/program'
import { expect, expectNoViolations, test } from './store'

const NEW = join(process.env.COMPONENTS_DIR ?? join(repository, 'target/components'), 'payment-v2.wasm')

test('a version is uploaded, tried on the data of an order, serves, and is rolled back', async ({ page, startOwn }) => {
  const own = await startOwn()
  const id = await declined(own)
  await paid(own)
  await enter(page, own, 'designer')
  await page.getByRole('link', { name: 'Components' }).click()
  await expect(page.getByRole('row', { name: /payment-processor/ })).toContainText(/[0-9a-f]{8}/)
  await expectNoViolations(page)
  await page.getByRole('link', { name: 'payment-processor' }).click()
  await expect(page.getByRole('heading', { name: 'payment-processor' })).toBeFocused()
  const served = page.locator('.component-title code')
  const before = await served.innerText()
  await expectNoViolations(page)

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
  await expectNoViolations(page)
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

test('who may not change components sees them, and what it takes', async ({ page, store }) => {
  await page.goto(consoleOf(store, '/components/payment-processor'))
  await expect(page.getByText('takes the role designer')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Try…' }).first()).toBeDisabled()
})
