/** The machine of a workflow, drawn and as a table: what is done on either is a small edit of the text. */

import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import { drag, exported, file, importFile, openAlone, properties, tool } from './editing'
import type { RunningStore } from './running/store'
import { expect, expectNoViolations, expectNoViolationsInBoth, test } from './store'

const state = (page: Page, name: string) => page.locator(`.react-flow__node-state[data-id="${name}"]`)
const way = (page: Page, name: string) => page.locator('.way-name', { hasText: new RegExp(`^${name}`) })
const machineTool = (page: Page, name: string) =>
  page.getByRole('toolbar', { name: 'Machine' }).getByRole('button', { name, exact: true })

/** The machine of orders in the monolith's config. */
async function openMachine(page: Page, store: RunningStore): Promise<void> {
  await openAlone(page, store)
  await importFile(page, file('monolith'))
  await page.getByRole('link', { name: 'order-processing', exact: true }).click()
  await expect(state(page, 'new')).toBeVisible()
}

/** The head of each arrow has the colour of its line, and there are several. */
async function expectHeadsOfTheirLines(page: Page): Promise<void> {
  const colours = await page.locator('.way .react-flow__edge-path').evaluateAll((paths) =>
    paths.map((path) => {
      const id = /#(.*[^'"])['"]?\)$/.exec(path.getAttribute('marker-end') ?? '')?.[1] ?? ''
      const head = document.getElementById(id)?.querySelector('polyline')
      return { line: getComputedStyle(path).stroke, head: head ? getComputedStyle(head).fill : '' }
    }),
  )
  for (const { line, head } of colours) expect(head).toBe(line)
  expect(new Set(colours.map(({ head }) => head)).size).toBeGreaterThan(2)
}

test('a machine is drawn, and looking at it changes no byte', async ({ page, store }) => {
  await openMachine(page, store)
  await expect(page.locator('.react-flow__node-state')).toHaveCount(12)
  await expect(state(page, 'paying')).toContainText('step-payment')
  await expect(way(page, 'retry_payment')).toBeAttached()
  await expectHeadsOfTheirLines(page)
  await state(page, 'paying').click()
  await expect(properties(page).getByLabel('Name', { exact: true })).toHaveValue('paying')
  await way(page, 'start_validation').click()
  await expect(properties(page)).toContainText('Transition start_validation')
  await machineTool(page, 'Table').click()
  await expect(page.getByRole('table')).toBeVisible()
  await expectNoViolationsInBoth(page)
  await machineTool(page, 'Table').click()
  await expectNoViolationsInBoth(page)
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  expect(await exported(page)).toBe(readFileSync(file('monolith'), 'utf8'))
})

test('states and transitions are added, joined, renamed and deleted on the drawing, and all of it is undone', async ({
  page,
  store,
}) => {
  await openMachine(page, store)
  await state(page, 'validated').click()
  await machineTool(page, 'Add a state').click()
  await page.getByRole('dialog').getByLabel('State name').fill('in_review')
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click()
  await expect(state(page, 'in_review')).toBeVisible()
  await state(page, 'payment_failed')
    .locator('.react-flow__handle-bottom')
    .dragTo(state(page, 'in_review').locator('.react-flow__handle-top'))
  const dialog = page.getByRole('dialog', { name: 'From payment_failed to in_review' })
  await dialog.getByLabel('Transition name').fill('cancel_order')
  await dialog.getByRole('button', { name: 'Add' }).click()
  await expect(dialog.getByRole('alert')).toContainText('There is a transition `cancel_order` already.')
  await dialog.getByLabel('Transition name').fill('review')
  await dialog.getByLabel('Made by').selectOption('a timer')
  await dialog.getByLabel('After, such as 10m').fill('10 minutes')
  await dialog.getByRole('button', { name: 'Add' }).click()
  await expect(dialog.getByRole('alert')).toContainText('`10 minutes` is no time. Accepted is one such as')
  await dialog.getByLabel('After, such as 10m').fill('10m')
  await dialog.getByRole('button', { name: 'Add' }).click()
  await expect(way(page, 'review')).toContainText('10m')
  await page.keyboard.press('F2')
  await page.keyboard.type('look_at')
  await expect(way(page, 'look_at')).toBeVisible()
  await state(page, 'in_review').click()
  await page.keyboard.press('Delete')
  await expect(state(page, 'in_review')).toHaveCount(0)
  while (await tool(page, 'Undo').isEnabled()) await tool(page, 'Undo').click()
  await expect(page.getByText('0 modules')).toBeVisible()
})

test('a component that is dropped on a state makes it one that waits, in one step', async ({ page, store }) => {
  await openMachine(page, store)
  await page.locator('.machine-components summary').click()
  await page.locator('.machine-components li', { hasText: 'payment-processor' }).dragTo(state(page, 'validated'))
  await expect(state(page, 'validated')).toContainText('step-payment-2')
  await expect(properties(page).getByLabel('Name', { exact: true })).toHaveValue('validated')
  await tool(page, 'Undo').click()
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
})

test('the shop’s machine is begun by keys alone: on the drawing, and as a table', async ({ page, store }) => {
  await openAlone(page, store)
  await drag(page, 'State Machine', 200, 120)
  await properties(page).getByText('Add a machine').press('Enter')
  await properties(page).getByLabel('Machine name').fill('returns')
  await page.keyboard.press('Enter')
  await page.getByRole('link', { name: 'returns', exact: true }).press('Enter')
  await state(page, 'new').focus()
  await page.keyboard.press('Enter')
  await expect(properties(page).getByLabel('Name', { exact: true })).toHaveValue('new')
  await page.keyboard.press('ArrowDown')
  await expect(state(page, 'done')).toBeFocused()
  await page.keyboard.press('ArrowUp')
  await machineTool(page, 'Add a state').press('Enter')
  await page.getByRole('dialog').getByLabel('State name').fill('inspecting')
  await page.keyboard.press('Enter')
  await expect(state(page, 'inspecting')).toBeAttached()
  await state(page, 'new').focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('c')
  const dialog = page.getByRole('dialog', { name: 'Add a transition' })
  await dialog.getByLabel('Transition name').fill('inspect')
  await expect(dialog.getByLabel('From')).toHaveValue('new')
  await dialog.locator('select[name="to"]').selectOption('inspecting')
  await page.keyboard.press('Enter')
  await expect(dialog).toHaveCount(0)
  await machineTool(page, 'Table').press('Enter')
  await page.getByLabel('Where finish leads').selectOption('inspecting')
  expect(await exported(page)).toBe(`modules:
  - name: state-machine
    type: statemachine.engine
workflows:
  statemachine:
    engine: state-machine
    definitions:
      - name: returns
        initialState: new
        states:
          new: {}
          inspecting: {}
          done:
            isFinal: true
        transitions:
          finish:
            fromState: new
            toState: inspecting
          inspect:
            fromState: new
            toState: inspecting
`)
})

test('a problem is seen where it is, on the drawing and in the table', async ({ page, store }) => {
  await openMachine(page, store)
  await way(page, 'start_payment').click()
  await tool(page, 'Problems').click()
  await properties(page).getByLabel('From State').fill('validatd')
  await expect(page.locator('#panel-problems')).toContainText('There is no state `validatd`.')
  await machineTool(page, 'Table').click()
  await expect(page.getByRole('row', { name: /start_payment/ })).toHaveCount(0)
})

test('an instance is led through the machine by hand, on the drawing, as a table, and by keys', async ({
  page,
  store,
}) => {
  await openMachine(page, store)
  await machineTool(page, 'Simulate').press('Enter')
  const simulator = page.getByRole('region', { name: 'One instance, by hand' })
  const here = simulator.getByRole('status')
  const next = (name: string | RegExp) => simulator.getByRole('button', { name })
  await expect(here).toHaveText('It is in validating; it waits for step-validate.')
  await expect(state(page, 'validating')).toContainText('here')
  await next('step-validate accepts to validated').press('Enter')
  await expect(here).toHaveText('It is in paying; it waits for step-payment.')
  await expect(next('step-payment accepts to paid')).toBeFocused()
  await expect(state(page, 'validated')).toContainText('1×')
  await expect(page.locator('.way-open')).not.toHaveCount(0)
  await expectNoViolationsInBoth(page)
  await next(/^step-payment breaks off/).press('Enter')
  await expect(next('step-payment breaks off tried again: attempt 3 of 3')).toBeVisible()
  await next(/^step-payment refuses/).press('Enter')
  // The timer is not waited for.
  await next(/^10s pass \(1 of 3\)/).press('Enter')
  await expect(here).toHaveText('It is in paying; it waits for step-payment.')
  await expect(simulator.getByRole('listitem').last()).toContainText('step-payment is started, for time 2')
  await next('Step back').press('Enter')
  await expect(here).toHaveText('It is in payment_failed.')
  await next(/^the deadline passes/).press('Enter')
  await expect(here).toHaveText('It is in cancelled, the end.')
  await expect(simulator).toContainText('It goes nowhere from here.')
  await machineTool(page, 'Table').press('Enter')
  await expect(page.getByRole('table')).toContainText('the simulated one is here')
  await expectNoViolationsInBoth(page)
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  await machineTool(page, 'Simulate').press('Enter')
  await expect(simulator).toHaveCount(0)
})

test.describe('in the dark', () => {
  test.use({ colorScheme: 'dark' })
  test('a machine can be read', async ({ page, store }) => {
    await openMachine(page, store)
    await state(page, 'paying').click()
    await expectNoViolations(page)
    await machineTool(page, 'Table').click()
    await expectNoViolations(page)
    await machineTool(page, 'Add a transition').click()
    await expectNoViolations(page)
  })
})
