/** The workflow editor in a browser, for tests of its pages. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, type Page } from '@playwright/test'
import { consoleOf } from './operator'
import { repository } from './running/program'
import type { RunningStore } from './running/store'

export const file = (name: string) => join(repository, `configs/${name}.yaml`)
export const nodes = (page: Page) => page.locator('.react-flow__node-module')
export const node = (page: Page, name: string) => nodes(page).filter({ has: page.getByText(name, { exact: true }) })
export const tool = (page: Page, name: string) =>
  page.getByRole('toolbar', { name: 'Workflow' }).getByRole('button', { name, exact: true })
export const properties = (page: Page) => page.locator('#panel-properties')

/** The editor as somebody finds it for the first time, without a process behind it. */
export async function openAlone(page: Page, store: RunningStore): Promise<void> {
  await page.route('**/operator/**', (route) => route.abort())
  await page.goto(consoleOf(store))
  await expect(page.locator('.react-flow')).toBeAttached()
}

export async function importFile(page: Page, path: string): Promise<void> {
  await page.getByLabel('Workflow file').setInputFiles(path)
}

export async function drag(page: Page, label: string, x: number, y: number): Promise<void> {
  const item = page.locator('[draggable="true"]').filter({ has: page.getByText(label, { exact: true }) })
  await item.dragTo(page.locator('.react-flow'), { targetPosition: { x, y } })
}

/** The bytes that Export gives. */
export async function exported(page: Page): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent('download'), tool(page, 'Export YAML').click()])
  expect(download.suggestedFilename()).toBe('workflow.yaml')
  return readFileSync(await download.path(), 'utf8')
}
