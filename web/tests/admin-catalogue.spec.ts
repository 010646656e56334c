/** Products and stock in the admin: a draft becomes something that is sold, two people change it at once, and its units move. */
import type { Page } from '@playwright/test'
import { newMember, signIn } from './staff'
import { expect, expectNoViolations, test } from './store'

/** A product of this test's own. */
async function create(page: Page, id: string) {
  await page.goto('/admin/#/products/new')
  await page.getByLabel('Id').fill(id)
  await page.getByLabel('Name').fill(`Chair ${id}`)
  await page.getByLabel('Price in dollars').fill('99.50')
  await page.getByLabel('Category').fill('Home Office')
  await page.getByRole('button', { name: 'Create product' }).click()
  await expect(page.getByRole('heading', { name: `Chair ${id}`, level: 1 })).toBeVisible()
}

test('a draft is made, sold, and retired; customers see what is sold and nothing else', async ({
  page,
  visitor,
  store,
}) => {
  const id = `chair-${process.pid}-sold`
  const shopper = await visitor()
  const seen = async () => (await shopper.request.get(`/api/products/${id}`)).status()

  await signIn(page, await newMember(store, 'catalogue'))
  await create(page, id)
  expect(await seen()).toBe(404)
  await expectNoViolations(page)
  await page.getByLabel('Status').selectOption('active')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved')).toBeVisible()
  expect(await seen()).toBe(200)

  await page.getByRole('button', { name: 'Retire' }).click()
  await page.getByRole('button', { name: 'Yes, retire it' }).click()
  await expect(page.getByRole('button', { name: 'Sell it again' })).toBeVisible()
  expect(await seen()).toBe(404)

  await page.goto('/admin/#/products?status=retired')
  await expect(page.getByRole('link', { name: `Chair ${id}` })).toBeVisible()
  await page.getByLabel('Search products').fill(id)
  await expect(page.getByRole('row')).toHaveCount(2)
  await expectNoViolations(page)
})

test('of two people who change one product the second sees what the first did, and loses nothing @alike', async ({
  page,
  visitor,
  store,
}) => {
  const id = `chair-${process.pid}-both`
  await signIn(page, await newMember(store, 'catalogue'))
  await create(page, id)
  const other = await visitor()
  await signIn(other, await newMember(store, 'catalogue'), `/products/${id}`)
  await expect(other.getByLabel('Name')).toHaveValue(`Chair ${id}`)

  await page.getByLabel('Price in dollars').fill('89')
  await page.getByLabel('Category').fill('Chairs')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved')).toBeVisible()

  await other.getByLabel('Price in dollars').fill('79')
  await other.getByLabel('Name').fill('A better chair')
  await other.getByRole('button', { name: 'Save' }).click()
  const merge = other.locator('.merge')
  await expect(merge).toBeFocused()
  await expect(merge).toContainText('from “Home Office” to “Chairs”')
  await expect(merge).toContainText('Theirs: $89.00')
  await expectNoViolations(other)
  await merge.getByLabel('Yours: $79.00').check()
  await other.getByRole('button', { name: 'Save both' }).click()
  await expect(other.getByText('Saved')).toBeVisible()
  await expect(other.getByRole('heading', { name: 'A better chair', level: 1 })).toBeVisible()
  await expect(other.getByLabel('Category')).toHaveValue('Chairs')
  await expect(other.getByLabel('Price in dollars')).toHaveValue('79.00')
})

test('units come in and go out by moves, and a count that was overtaken is refused @alike', async ({
  page,
  visitor,
  store,
}) => {
  const id = `chair-${process.pid}-stock`
  await signIn(page, await newMember(store, 'catalogue'))
  await create(page, id)
  await page.goto(`/admin/#/stock/${id}`)
  const move = async (who: Page, units: string, note: string) => {
    await who.getByLabel(/^Units/).fill(units)
    await who.getByLabel('Note').fill(note)
    await who.getByRole('button', { name: 'Add the move' }).click()
  }
  await move(page, '20', 'Delivery note 4711')
  await expect(page.getByText('+20')).toBeVisible()
  await expect(page.getByText('Delivery note 4711')).toBeVisible()
  await expectNoViolations(page)

  const other = await visitor()
  await signIn(other, await newMember(store, 'catalogue'), `/stock/${id}`)
  await other.getByLabel('What happened').selectOption('counted')
  await expect(other.getByText('The ledger says 20.')).toBeVisible()
  await page.getByLabel('What happened').selectOption('damaged')
  await move(page, '3', 'Fell off the shelf')
  await expect(page.getByText('−3')).toBeVisible()

  await move(other, '19', 'Counted by hand')
  await expect(other.locator('.form-error')).toBeVisible()
  await expect(other.getByText('−3')).toBeVisible()
  await expectNoViolations(other)
  await other.getByLabel('What happened').selectOption('received')
  await other.getByLabel('What happened').selectOption('counted')
  await expect(other.getByText('The ledger says 17.')).toBeVisible()
  await move(other, '16', 'Counted again')
  await expect(other.getByText('−1', { exact: true })).toBeVisible()

  await page.goto('/admin/#/stock/no-such-product')
  await expect(page.getByRole('heading', { name: 'There is no such product' })).toBeVisible()
  await page.goto('/admin/#/stock')
  await page.getByLabel('Search the stock').fill(id)
  await expect(page.getByRole('row')).toHaveCount(2)
  await expect(page.getByRole('row').nth(1)).toContainText('16')
})

test('an import shows what it would change before it changes anything, and takes no file that is wrong @alike', async ({
  visitor,
  startOwn,
}) => {
  // What it leaves on sale would be one more product to others.
  const store = await startOwn()
  const page = await visitor({ baseURL: store.url })
  const id = `chair-${process.pid}-file`
  await signIn(page, await newMember(store, 'catalogue'), '/products/import')
  const choose = (text: string) =>
    page
      .getByLabel('A table as CSV')
      .setInputFiles({ name: 'products.csv', mimeType: 'text/csv', buffer: Buffer.from(text) })
  await choose(`sku,name,price\n${id},A chair,cheap\n`)
  await expect(page.getByText('1 line wrong')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Import all of it' })).toBeDisabled()
  await expectNoViolations(page)

  await choose(`sku,name,price\n${id},A chair,49.90\n`)
  await expect(page.getByText('1 product to change')).toBeVisible()
  await page.getByRole('button', { name: 'Import all of it' }).click()
  await expect(page.getByText('Imported 1 product')).toBeVisible()
  await page.getByLabel('Search products').fill(id)
  await expect(page.getByRole('row')).toHaveCount(2)
  await expect(page.getByText('$49.90')).toBeVisible()
})
