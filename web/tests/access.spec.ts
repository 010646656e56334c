/** Every page, in both themes, on a phone and on a desk: axe finds nothing, and nothing has to be scrolled sideways. */
import { addToCart, buy, expect, expectNoViolations, fillAddress, logIn, test } from './store'

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [device, viewport] of [
    ['phone', { width: 360, height: 740 }],
    ['desk', { width: 1280, height: 900 }],
  ] as const) {
    test(`axe, ${colorScheme}, on a ${device}`, async ({ browser, store }) => {
      test.setTimeout(120_000)
      const context = await browser.newContext({ baseURL: store.url, colorScheme, viewport, reducedMotion: 'reduce' })
      const page = await context.newPage()
      const check = async () => {
        await expectNoViolations(page)
        const sideways = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        )
        expect(sideways).toBe(0)
      }
      for (const path of ['/#/', '/#/product/prod-001', '/#/cart', '/#/login', '/#/register', '/#/nowhere']) {
        await page.goto(path)
        await expect(page.locator('h1')).toBeVisible()
        await check()
      }
      await page.getByRole('link', { name: 'Login' }).click()
      await page.getByLabel('Email').fill('nobody@example.com')
      await page.getByLabel('Password').fill('nobody-knows')
      await page.getByRole('button', { name: 'Sign In' }).click()
      await expect(page.locator('.toast-error')).toBeVisible()
      await check()

      await logIn(page)
      await page.reload()
      for (const path of ['/#/orders', '/#/profile']) {
        await page.goto(path)
        await expect(page.locator('h1')).toBeVisible()
        await check()
      }
      await addToCart(page, 'prod-001', 'Mechanical Keyboard')
      await page.goto('/#/cart')
      await page.getByLabel('Quantity of Mechanical Keyboard').fill('9999')
      await check()
      await page.getByLabel('Quantity of Mechanical Keyboard').fill('1')
      await page.goto('/#/checkout')
      await fillAddress(page)
      await page.getByText('Codes that make the carrier fail').click()
      await check()
      await page.getByLabel('Empty account').check()
      await page.getByRole('button', { name: 'Place Order' }).click()
      await expect(page.getByRole('heading', { name: 'Payment Declined' })).toBeVisible()
      await page.getByText('Everything that happened').click()
      await check()
      await page.getByRole('button', { name: 'Cancel order' }).click()
      await expect(page.getByRole('heading', { name: 'Order Cancelled' })).toBeVisible()
      await check()
      await buy(page)
      await expect(page.locator('.order-status')).toHaveText('delivered')
      await check()
      await page.goto('/#/orders')
      await expect(page.locator('.order-card')).toHaveCount(2)
      await check()
      await context.close()
    })
  }
}
