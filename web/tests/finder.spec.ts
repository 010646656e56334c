/** Ctrl+K: everything that the console can do, found by its words and done by keys alone. */
import type { Page } from '@playwright/test'
import { file, importFile, node, nodes, openAlone, properties, tool } from './editing'
import { consoleOf } from './operator'
import { expect, expectNoViolations, expectNoViolationsInBoth, test } from './store'

const finder = (page: Page) => page.getByRole('dialog', { name: 'Find a command' })
const chosen = (page: Page) => finder(page).getByRole('option', { selected: true })

async function run(page: Page, words: string, first: string): Promise<void> {
  await page.keyboard.press('Control+k')
  await expect(finder(page).getByRole('combobox')).toBeFocused()
  await page.keyboard.type(words)
  await expect(chosen(page)).toContainText(first)
  await page.keyboard.press('Enter')
  await expect(finder(page)).toHaveCount(0)
}

test('what the editor can do is found and done by keys', async ({ page, store }) => {
  await openAlone(page, store)
  await run(page, 'add http server', 'HTTP Server')
  await expect(nodes(page)).toHaveCount(1)
  await run(page, 'undo', 'Undo: Add http-server')
  await expect(nodes(page)).toHaveCount(0)
  await importFile(page, file('monolith'))
  await expect(node(page, 'orders-api')).toBeVisible()
  await run(page, 'orders-api', 'orders-api')
  await expect(properties(page).getByLabel('Name', { exact: true })).toHaveValue('orders-api')
  await run(page, 'paying', 'paying of')
  await expect(page.locator('.machine-canvas')).toBeVisible()
  await expect(page.locator('.react-flow__node[data-id="paying"]')).toHaveClass(/selected/)
  await run(page, 'text', 'Text')
  await expect(page.locator('.cm-content')).toBeVisible()
  // Also from within a text, which has keys of its own.
  await page.locator('.cm-content').focus()
  await run(page, 'validate', 'Validate')
  await expect(page.getByText(/Workflow is valid/)).toBeVisible()
  await run(page, 'history', 'History')
  await expect(page).toHaveURL(/#\/history$/)
})

test('what is typed narrows the list down, arrows choose, and Escape goes back', async ({ page, store }) => {
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await expect(node(page, 'orders-api')).toBeVisible()
  await tool(page, 'Import').focus()
  await page.keyboard.press('Control+k')
  const field = finder(page).getByRole('combobox')
  const first = await chosen(page).innerText()
  await page.keyboard.press('ArrowDown')
  await expect(chosen(page)).not.toHaveText(first)
  const id = await chosen(page).getAttribute('id')
  await expect(field).toHaveAttribute('aria-activedescendant', id ?? '')
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowUp')
  await expect(chosen(page)).toBeInViewport()
  await expectNoViolationsInBoth(page)
  await page.keyboard.type('no such thing')
  await expect(finder(page).getByRole('status')).toHaveText('Nothing fits.')
  await page.keyboard.press('Enter')
  await expect(finder(page)).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(finder(page)).toHaveCount(0)
  await expect(tool(page, 'Import')).toBeFocused()
})

test('pages that ask a process have it too', async ({ page, store }) => {
  await page.goto(consoleOf(store, '/waiting'))
  await expect(page.getByRole('heading', { name: 'Waiting', level: 1 })).toBeVisible()
  await run(page, 'compo', 'Components')
  await expect(page.getByRole('heading', { name: 'Components', level: 1 })).toBeVisible()
})

test.describe('in the dark', () => {
  test.use({ colorScheme: 'dark' })
  test('it can be read', async ({ page, store }) => {
    await openAlone(page, store)
    await page.keyboard.press('Control+k')
    await expect(chosen(page)).toBeVisible()
    await expectNoViolations(page)
  })
})
