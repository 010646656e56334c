/** The workflow editor in a browser: one text, seen as a drawing, a form, a tree and as text. */
import { readFileSync } from 'node:fs'
import { largeConfig } from '../src/console/testing/corpus'
import { drag, exported, file, importFile, node, nodes, openAlone, properties, tool } from './editing'
import { consoleOf } from './operator'
import { expect, expectNoViolations, expectNoViolationsInBoth, test } from './store'

test('the editor opens without login and without a server, empty', async ({ page, store }) => {
  await openAlone(page, store)
  await expect(page.locator('.react-flow')).toBeVisible()
  for (const part of ['background', 'controls', 'minimap']) {
    await expect(page.locator(`.react-flow__${part}`)).toBeVisible()
  }
  await expect(page.getByRole('heading', { name: 'Properties' })).toBeVisible()
  await expect(page.getByText('Select a node to edit its properties')).toBeVisible()
  await expect(page.getByText('0 modules')).toBeVisible()
  for (const name of ['Export YAML', 'Save', 'Validate', 'Undo', 'Redo', 'Clear']) {
    await expect(tool(page, name)).toBeDisabled()
  }
  for (const name of ['Import', 'Load Server']) await expect(tool(page, name)).toBeEnabled()
  const [first, last] = [await tool(page, 'Import').boundingBox(), await tool(page, 'Clear').boundingBox()]
  expect(last?.y, 'all tools are in one line').toBe(first?.y)
  await tool(page, 'Load Server').click()
  await expect(page.locator('.toast-error')).toContainText('No server answers here')
  await expectNoViolationsInBoth(page)
})

test('modules are dragged from the palette, connected, edited, deleted, and all of it is undone', async ({
  page,
  store,
}) => {
  await openAlone(page, store)
  await drag(page, 'HTTP Server', 200, 120)
  await expect(page.getByText('1 modules')).toBeVisible()
  await expect(node(page, 'http-server')).toContainText('HTTP Server')
  await expect(node(page, 'http-server')).toContainText('http.server')
  await drag(page, 'Metrics Collector', 420, 360)
  await expect(nodes(page)).toHaveCount(2)
  await expect(page.locator('.react-flow__edge')).toHaveCount(0)
  await node(page, 'http-server')
    .locator('.react-flow__handle-bottom')
    .dragTo(node(page, 'metrics-collector').locator('.react-flow__handle-top'))
  await expect(page.locator('.react-flow__edge')).toHaveCount(1)
  await node(page, 'http-server').click()
  await properties(page).getByLabel('Name', { exact: true }).fill('web')
  await properties(page).getByLabel('Read Timeout').fill('20s')
  await properties(page).getByLabel('Address', { exact: true }).fill(':9090')
  expect(await exported(page)).toBe(`modules:
  - name: web
    type: http.server
    config:
      address: ":9090"
      readTimeout: 20s
  - name: metrics-collector
    type: metrics.collector
    dependsOn: [web]
`)
  await properties(page).getByRole('button', { name: 'Delete Node' }).click()
  await expect(nodes(page)).toHaveCount(1)
  await page.locator('.editor-offer').getByRole('button', { name: 'Undo' }).click()
  await expect(nodes(page)).toHaveCount(2)
  while (await tool(page, 'Undo').isEnabled()) await tool(page, 'Undo').click()
  await expect(nodes(page)).toHaveCount(0)
  while (await tool(page, 'Redo').isEnabled()) await tool(page, 'Redo').click()
  // The last of it was that the server was deleted.
  await expect(nodes(page)).toHaveCount(1)
  await expect(node(page, 'metrics-collector')).toBeVisible()
})

test('what is imported is exported byte for byte, however it was looked at and moved', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await expect(page.getByText('Workflow imported from file')).toBeVisible()
  await expect(node(page, 'orders-api')).toBeVisible()
  const before = (await node(page, 'orders-api').boundingBox()) ?? { x: 0, y: 0 }
  await node(page, 'orders-api').hover()
  await page.mouse.down()
  await page.mouse.move(before.x + 140, before.y + 60, { steps: 5 })
  await page.mouse.up()
  await tool(page, 'Auto-group').click()
  await expect(page.locator('.react-flow__node-frame')).not.toHaveCount(0)
  await tool(page, 'Auto-group').click()
  await expect(tool(page, 'Undo')).toBeEnabled()
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  expect(await exported(page)).toBe(readFileSync(file('monolith'), 'utf8'))
})

test('a box lies where it was put, also after the page was left', async ({ page, store }) => {
  await openAlone(page, store)
  await drag(page, 'HTTP Server', 200, 120)
  await drag(page, 'Health Checker', 500, 420)
  const place = () => node(page, 'health-checker').evaluate((box) => box.style.transform)
  const before = await place()
  await expect(page.locator('.tab-dirty')).toBeVisible()
  await page.reload()
  await expect(node(page, 'health-checker')).toBeVisible()
  expect(await place()).toBe(before)
  await expect(page.locator('.tab-dirty')).toBeVisible()
})

test('keys undo, redo, delete and let go, and mean text in a field', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await expect(page.getByText('Workflow imported from file')).toBeVisible()
  await node(page, 'orders-api').click()
  await expect(properties(page).getByLabel('Name', { exact: true })).toHaveValue('orders-api')
  const name = properties(page).getByLabel('Name', { exact: true })
  await name.press('End')
  await name.press('Backspace')
  await expect(node(page, 'orders-ap')).toBeVisible()
  await page.keyboard.press('Control+z')
  await expect(node(page, 'orders-api')).toBeVisible()
  await node(page, 'orders-api').click()
  await page.keyboard.press('Escape')
  await expect(page.getByText('Select a node to edit its properties')).toBeVisible()
  await node(page, 'health').click()
  await page.keyboard.press('Delete')
  await expect(node(page, 'health')).toHaveCount(0)
  await page.keyboard.press('Control+z')
  await expect(node(page, 'health')).toBeVisible()
  await page.keyboard.press('Control+Shift+z')
  await expect(node(page, 'health')).toHaveCount(0)
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
})

test('the text and the drawing are two views of one thing', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await node(page, 'orders-api').click()
  await tool(page, 'Text').click()
  const chosen = page.locator('.cm-chosen')
  await expect(chosen.first()).toContainText('name: orders-api')
  await page.locator('.cm-line', { hasText: 'resourceName: orders' }).click()
  await page.keyboard.press('End')
  await page.keyboard.type('x')
  await expect(properties(page).getByLabel('Resource Name')).toHaveValue('ordersx')
  await properties(page).getByLabel('Resource Name').fill('bookings')
  await expect(page.locator('.cm-content')).toContainText('resourceName: bookings')
  await page.locator('.cm-content').focus()
  while (await tool(page, 'Undo').isEnabled()) await page.keyboard.press('Control+z')
  await expect(nodes(page)).toHaveCount(0)
  await expectNoViolationsInBoth(page)
})

test('a mistake is told at once, in the same words at its four places, and as a number', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await tool(page, 'Validate').click()
  await expect(page.getByText(/Workflow is valid \(local check only\)/)).toBeVisible()
  await node(page, 'step-payment').click()
  await properties(page).getByLabel('Component ID').fill('payment-procesor')
  await expect(tool(page, 'Problems 1')).toBeVisible()
  await expect(properties(page)).toContainText('There is no module `payment-procesor`.')
  await expect(node(page, 'step-payment').locator('.module-box-problems')).toHaveText('1')
  await tool(page, 'Validate').click()
  await expect(page.locator('.toast-error')).toContainText('1 problem found')
  await expect(page.locator('#panel-problems')).toContainText("did you mean 'payment-processor'?")
  await expectNoViolationsInBoth(page)
})

test('a problem is mended by one click, which is one step to undo', async ({ page, store }) => {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await node(page, 'step-payment').click()
  await properties(page).getByLabel('Component ID').fill('payment-procesor')
  await tool(page, 'Problems 1').click()
  const fix = page.locator('#panel-problems').getByRole('button', { name: /^Set it to payment-processor/ })
  await expect(fix).toBeVisible()
  await expectNoViolationsInBoth(page)
  await fix.click()
  await expect(page.locator('#panel-problems')).toContainText('None.')
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  await tool(page, 'Undo').click()
  await expect(tool(page, 'Problems 1')).toBeVisible()
})

test('a file that is no YAML is shown as text, and says where it cannot be read', async ({ page, store }) => {
  await openAlone(page, store)
  const broken = { name: 'broken.yaml', mimeType: 'text/yaml', buffer: Buffer.from('modules:\n  - name: [a\n') }
  await page.getByLabel('Workflow file').setInputFiles(broken)
  await expect(page.getByText(/Failed to parse workflow file/)).toBeVisible()
  await page.getByRole('button', { name: 'Show the text' }).click()
  await expect(page.locator('.cm-content')).toContainText('name: [a')
  const binary = { name: 'picture.yaml', mimeType: 'text/yaml', buffer: Buffer.from([0xff, 0xfe, 0x00, 0xd8]) }
  await page.getByLabel('Workflow file').setInputFiles(binary)
  await expect(page.locator('.toast-error')).toContainText('not text in UTF-8')
})

test('the process behind the page tells its config, and judges what is edited', async ({ page, store }) => {
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await expect(page.getByText('Workflow loaded from server')).toBeVisible()
  await tool(page, 'Validate').click()
  await expect(page.locator('.toast')).toHaveText(/Workflow is valid$|problems? found$/)
  await tool(page, 'Problems').click()
  await expect(page.locator('#panel-problems')).toContainText('Checked by the host')
})

test('a small shop is made by keys alone', async ({ page, store }) => {
  await openAlone(page, store)
  const add = async (label: string) => {
    await page.getByLabel('Find a module').focus()
    await page.keyboard.press('Control+a')
    await page.keyboard.type(label)
    await page.keyboard.press('Tab')
    await expect(page.locator('.palette-item:focus')).toHaveText(label)
    await page.keyboard.press('Enter')
  }
  for (const label of ['HTTP Server', 'HTTP Router', 'Workflow Database', 'Persistence Store', 'API Handler']) {
    await add(label)
  }
  await expect(page.getByText('5 modules')).toBeVisible()
  await page.getByRole('button', { name: 'Outline', exact: true }).press('Enter')
  await page.keyboard.press('Alt+1')
  const row = page.locator('[role="treeitem"]:focus')
  await page.keyboard.press('Home')
  await page.keyboard.type('http-s')
  await expect(row).toContainText('http-server')
  await page.keyboard.press('c')
  await page.getByLabel('With').selectOption('http-router')
  await page.getByRole('button', { name: 'Continue' }).press('Enter')
  await expect(page.getByRole('dialog')).toContainText('http-server serves the routes of http-router')
  await page.getByRole('button', { name: 'Connect', exact: true }).press('Enter')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await page.keyboard.press('Alt+1')
  await page.keyboard.press('Home')
  await page.keyboard.type('http-s')
  await expect(row).toContainText('http-server')
  await page.keyboard.press('Space')
  await expect(properties(page).getByLabel('Name', { exact: true })).toHaveValue('http-server')
  // A heading has no name to give, and takes nobody to that of what is selected.
  await page.keyboard.press('Home')
  await page.keyboard.press('F2')
  await expect(row).toHaveAttribute('aria-level', '1')
  // What is renamed is the row that the keys are at, though another one was selected until then.
  await page.keyboard.type('api-h')
  await expect(row).toContainText('api-handler')
  await page.keyboard.press('F2')
  await page.keyboard.type('things-api')
  await expect(properties(page).getByLabel('Name', { exact: true })).toBeFocused()
  await expect(page.getByRole('treeitem', { name: 'things-api' })).toBeVisible()
  await expect(page.getByRole('treeitem', { name: 'http-server' })).toBeVisible()
  await expect(page.getByRole('treeitem', { name: 'api-handler' })).toHaveCount(0)
  await page.keyboard.press('Alt+1')
  await page.keyboard.press('Home')
  await page.keyboard.type('http-r')
  await page.keyboard.press('c')
  await page.getByLabel('With').selectOption('things-api')
  await page.getByRole('button', { name: 'Continue' }).press('Enter')
  await page.getByLabel('Method').selectOption('GET')
  await page.getByLabel('Path', { exact: true }).fill('/api/things')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(page.locator('[role="treeitem"]', { hasText: 'GET /api/things' })).toBeVisible()
  await tool(page, 'Validate').press('Enter')
  await expect(page.getByText(/Workflow is valid/)).toBeVisible()
  await expectNoViolationsInBoth(page)
})

test('a machine is added and edited from the outline', async ({ page, store }) => {
  await openAlone(page, store)
  await drag(page, 'State Machine', 200, 120)
  await properties(page).getByText('Add a machine').click()
  await properties(page).getByLabel('Machine name').fill('shipping')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Outline', exact: true }).click()
  await page.getByRole('treeitem', { name: 'shipping' }).click()
  await properties(page).getByText('Add a state').click()
  await properties(page).getByLabel('State name').fill('packed')
  await page.keyboard.press('Enter')
  await page.getByRole('treeitem', { name: 'packed' }).click()
  await properties(page).getByLabel('Name', { exact: true }).fill('in_box')
  await expect(page.getByRole('treeitem', { name: 'in_box' })).toBeVisible()
  await properties(page).getByText('Add a transition').click()
  await properties(page).getByLabel('Transition name').fill('unpack')
  await properties(page).locator('select[name="to"]').selectOption('done')
  await properties(page).getByLabel('Made by').selectOption('a timer')
  await properties(page).getByLabel('After, such as 10m').fill('10m')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('treeitem', { name: 'unpack' })).toBeVisible()
  const text = await exported(page)
  expect(text).toContain('in_box')
  expect(text).toContain('after: 10m')
})

for (const locks of ['locks', 'no locks']) {
  test(`two tabs of one browser with ${locks} have drafts of their own`, async ({ page, store, context }) => {
    if (locks === 'no locks') {
      await context.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'locks'))
    }
    await openAlone(page, store)
    await drag(page, 'HTTP Server', 200, 120)
    const other = await context.newPage()
    await openAlone(other, store)
    await expect(other.getByText('0 modules')).toBeVisible()
    await drag(other, 'Health Checker', 200, 120)
    for (const [own, name] of [
      [page, 'http-server'],
      [other, 'health-checker'],
    ] as const) {
      await own.reload()
      await expect(node(own, name)).toBeVisible()
      await expect(nodes(own)).toHaveCount(1)
    }
  })
}

test('500 modules are drawn, edited and undone', async ({ page, store }) => {
  await openAlone(page, store)
  const large = largeConfig()
  await page
    .getByLabel('Workflow file')
    .setInputFiles({ name: 'large.yaml', mimeType: 'text/yaml', buffer: Buffer.from(large) })
  await expect(page.getByText('500 modules')).toBeVisible()
  await expect(nodes(page).first()).toBeVisible()
  await nodes(page).first().focus()
  await page.keyboard.press('Enter')
  await properties(page).getByLabel('Name', { exact: true }).fill('another')
  await expect(node(page, 'another')).toBeVisible()
  await tool(page, 'Undo').click()
  await expect(node(page, 'another')).toHaveCount(0)
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  expect(await exported(page)).toBe(large)
})

test.describe('in the dark', () => {
  test.use({ colorScheme: 'dark' })
  test('everything can be read', async ({ page, store }) => {
    await openAlone(page, store)
    await importFile(page, file('monolith'))
    await node(page, 'orders-api').click()
    await tool(page, 'Text').click()
    await tool(page, 'Problems').click()
    await expect(page.locator('.cm-chosen').first()).toBeVisible()
    await expectNoViolations(page)
    await page.getByRole('button', { name: 'Outline', exact: true }).click()
    await page.keyboard.press('?')
    await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible()
    await expectNoViolations(page)
  })
})

test.describe('on a phone', () => {
  test.use({ viewport: { width: 320, height: 640 } })
  test('the outline and the form have room', async ({ page, store }) => {
    await openAlone(page, store)
    await importFile(page, file('monolith'))
    await page.getByRole('button', { name: 'Outline', exact: true }).click()
    await page.getByRole('treeitem', { name: 'orders-api' }).first().click()
    await expect(properties(page).getByLabel('Resource Name')).toHaveValue('orders')
    const { scroll, seen } = await page.evaluate(() => ({
      scroll: document.documentElement.scrollWidth,
      seen: document.documentElement.clientWidth,
    }))
    expect(scroll).toBeLessThanOrEqual(seen)
    await expectNoViolations(page)
  })
})

test('the toolbar is one line on a screen of 1440 pixels, also with many problems to count', async ({
  page,
  store,
}) => {
  await page.setViewportSize({ width: 1440, height: 900 })
  await openAlone(page, store)
  const wrong = readFileSync(file('monolith'), 'utf8').replaceAll('handler: orders-api', 'handler: nobody')
  const own = { name: 'wrong.yaml', mimeType: 'application/yaml', buffer: Buffer.from(wrong) }
  await page.getByLabel('Workflow file').setInputFiles(own)
  await expect(page.locator('.tool-count')).toHaveText(/^\d\d$/)
  const tools = page.getByRole('toolbar', { name: 'Workflow' }).getByRole('button')
  const tops = await tools.evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().top)))
  expect(new Set(tops).size, `${tops}`).toBe(1)
})
