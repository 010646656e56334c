/** The copilot with a model of the process behind it: what that proposes is tried, judged and shown, and nothing is changed before a yes. */
import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import { exported, file, node, tool } from './editing'
import { consoleOf, enter } from './operator'
import { ScriptedModel } from './running/model'
import type { RunningStore } from './running/store'
import { expect, expectNoViolationsInBoth, test as storeTest } from './store'

const { proposes } = ScriptedModel
/** With a model that is gone after the test, whatever comes of it. */
const test = storeTest.extend<{ model: ScriptedModel }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants the pattern of what a fixture takes
  model: async ({}, use) => {
    const model = await ScriptedModel.start()
    await use(model)
    model.stop()
  },
})
const copilot = (page: Page) => page.getByRole('region', { name: 'AI Copilot' })
const button = (page: Page, name: string) => copilot(page).getByRole('button', { name, exact: true })
const longer = (value: string) => proposes({ op: 'set', pointer: '/modules/0/config/readTimeout', value })

async function openCopilot(page: Page, store: RunningStore): Promise<void> {
  await page.goto(consoleOf(store))
  await tool(page, 'Load Server').click()
  await expect(node(page, 'orders-api')).toBeVisible()
  if (await copilot(page).isHidden()) await tool(page, 'AI Copilot').click()
  await copilot(page).getByRole('textbox').fill('Wait longer for requests')
}

test('what a model proposes is tried and judged first, is one step to undo, and fails in one sentence', async ({
  visitor,
  startOwn,
  model,
}) => {
  const environment = { COPILOT_URL: model.url, COPILOT_MODEL: 'small-model', COPILOT_API_KEY: 'a-key-of-the-test' }
  const store = await startOwn({ environment })
  const page = await visitor()
  await page.goto(consoleOf(store))
  await tool(page, 'AI Copilot').click()
  await expect(copilot(page)).toContainText('To ask small-model takes the role designer.')
  await enter(page, store, 'designer')
  await openCopilot(page, store)

  // The host refuses the first, so the model is asked again, and told why.
  model.says(longer('20 parsecs'), longer('20s'))
  await button(page, 'Ask small-model').click()
  const proposal = copilot(page).getByRole('region', { name: 'Wait longer for requests' })
  await expect(proposal).toContainText('Proposed by small-model')
  await expect(proposal).toContainText('Requests may take longer from now on.')
  await expect(proposal).toContainText('It was checked and brings no problem.')
  await expectNoViolationsInBoth(page)
  expect(model.asked).toHaveLength(2)
  expect(model.asked[1]).toContain('20 parsecs')
  expect(model.asked.join()).not.toContain('a-key-of-the-test')
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  const before = readFileSync(file('monolith'), 'utf8')
  await proposal.getByRole('button', { name: 'Apply', exact: true }).click()
  expect(await exported(page)).toBe(before.replace('readTimeout: 15s', 'readTimeout: 20s'))
  await page.locator('.editor-offer').getByRole('button', { name: 'Undo' }).click()
  expect(await exported(page)).toBe(before)

  // What opens a door is said twice.
  model.says(proposes({ op: 'set', pointer: '/workflows/http/routes/0/middlewares', value: [] }))
  await button(page, 'Ask small-model').click()
  await expect(proposal).toContainText('/workflows/http/routes/0/middlewares: it changes who may call what')
  await expectNoViolationsInBoth(page)
  await proposal.getByRole('button', { name: 'Discard' }).click()

  for (const [script, words] of [
    [['No.', 'Never.', '{"edits": 7}'], "The model's answer is of no use"],
    [[{ status: 401 }], 'it does not take the `apiKey` of the config.'],
    [['{"explanation": "Nothing has to be changed."}'], 'small-model says: Nothing has to be changed.'],
    [[proposes({ op: 'remove', pointer: '/nothing' })], "edit 1 at '/nothing' takes away what is not there"],
  ] as const) {
    model.says(...script)
    await button(page, 'Ask small-model').click()
    await expect(copilot(page).locator('.copilot-model')).toContainText(words)
    expect(model.asked.length).toBeLessThanOrEqual(3)
  }
  // What the process and the page find wrong counts alike.
  model.says('No.', longer('20 parsecs'))
  await button(page, 'Ask small-model').click()
  await expect(proposal).toBeVisible()
  expect(model.asked).toHaveLength(3)
  await proposal.getByRole('button', { name: 'Discard' }).click()

  model.says('silence', longer('20s'))
  await button(page, 'Ask small-model').click()
  // Only a question that the model has heard takes the first of these.
  await expect.poll(() => model.asked.length).toBe(1)
  await button(page, 'Stop').click()
  await expect(button(page, 'Ask small-model')).toBeEnabled()
  await expect(page.locator('.tab-dirty')).toHaveCount(0)
  // Who has stopped has a place again: the process has seen that nobody waits.
  await expect(async () => {
    await button(page, 'Ask small-model').click()
    await expect(proposal).toBeVisible({ timeout: 3_000 })
  }).toPass()
})
