/** The shop's machine, made from nothing by keys alone: what comes of it is what the shop's config says, and the host takes it. */
import { readFileSync } from 'node:fs'
import type { Locator, Page } from '@playwright/test'
import { applied } from '../src/console/edits'
import { lens } from '../src/console/lens'
import { at } from '../src/console/references'
import { exported, file, openAlone, properties, tool } from './editing'
import { Keys } from './keys'
import { expect, expectNoViolationsInBoth, test } from './store'
import { Validator } from './validating'

const DEFINITION = ['workflows', 'statemachine', 'definitions', 0]
const SHOP = readFileSync(file('monolith'), 'utf8')

interface WrittenState {
  description?: string
  isFinal?: boolean
  isError?: boolean
}
interface WrittenTransition {
  fromState: string
  toState: string
  autoTransform?: boolean
  after?: string
  maxAttempts?: number
  exhausted?: string
  attentionAfter?: number
  deadline?: { after: string; since: string }
}
interface Written {
  name: string
  description: string
  initialState: string
  states: Record<string, WrittenState>
  transitions: Record<string, WrittenTransition>
}
const MACHINE = at(lens(SHOP).source.value, ...DEFINITION) as Written

/** What the two states and the transition of a new machine become. */
const END = 'delivered'
const LAST = Object.entries(MACHINE.transitions).find(([, { toState }]) => toState === END)?.[0] ?? ''

class Hands extends Keys {
  readonly dialog = this.page.getByRole('dialog')

  /** One of a list, by the letters of its name, which are forgotten when they come too slowly. */
  async pick(target: Locator, name: string): Promise<void> {
    await this.to(target)
    await expect(async () => {
      await this.page.keyboard.type(name)
      await expect(target).toHaveValue(name, { timeout: 1_500 })
    }).toPass({ intervals: [1_500] })
  }

  /** The one so many below. */
  async down(target: Locator, count: number): Promise<void> {
    await this.to(target)
    for (let step = 0; step < count; step += 1) await this.page.keyboard.press('ArrowDown')
  }

  async fill(label: string, text: string): Promise<void> {
    await this.type(this.dialog.getByLabel(label), text)
  }

  async done(): Promise<void> {
    await this.press(this.dialog.getByRole('button', { name: 'Add', exact: true }))
    await expect(this.dialog).toHaveCount(0)
  }

  /** A field of the form of what is selected. */
  field(label: string): Locator {
    return properties(this.page).getByLabel(label, { exact: true }).first()
  }

  async write(label: string, text: string): Promise<void> {
    await this.page.keyboard.press('Alt+4')
    await this.type(this.field(label), text)
  }

  /** By the outline: letters lead to it, Enter opens its form. */
  async choose(target: string | Locator, words = '', value = words): Promise<void> {
    if (typeof target !== 'string') return super.choose(target, words, value)
    await this.page.keyboard.press('Alt+1')
    await this.page.keyboard.press('Home')
    const row = this.page.locator('[role="treeitem"]:focus .outline-label')
    await expect(async () => {
      await this.page.keyboard.type(target)
      await expect(row).toHaveText(target, { timeout: 1_000 })
    }).toPass({ intervals: [1_000] })
    await this.page.keyboard.press('Enter')
    await expect(this.field('Name')).toHaveValue(target)
  }
}

/** The panes, a machine, and the page on which it is drawn. */
async function begin(hands: Hands, page: Page): Promise<void> {
  await hands.type(page.getByLabel('Find a module'), 'State Machine')
  await page.keyboard.press('Tab')
  await expect(page.locator('.palette-item:focus')).toHaveText('State Machine')
  await page.keyboard.press('Enter')
  await hands.press(properties(page).getByText('Add a machine'))
  await hands.type(properties(page).getByLabel('Machine name'), MACHINE.name)
  await page.keyboard.press('Enter')
  await hands.press(page.getByRole('link', { name: MACHINE.name, exact: true }))
  await hands.press(page.getByRole('button', { name: 'Outline', exact: true }))
}

async function addState(hands: Hands, page: Page, name: string, state: WrittenState): Promise<void> {
  await hands.press(page.getByRole('toolbar', { name: 'Machine' }).getByRole('button', { name: 'Add a state' }))
  await hands.fill('State name', name)
  if (state.description) await hands.fill('Description', state.description)
  await hands.down(hands.dialog.getByLabel('Kind'), state.isError ? 2 : state.isFinal ? 1 : 0)
  await hands.done()
}

async function addTransition(hands: Hands, page: Page, name: string, transition: WrittenTransition): Promise<void> {
  const { fromState, toState, autoTransform, after, maxAttempts, exhausted } = transition
  // The key is for the drawing; in a field it is a letter.
  await page.keyboard.press('Alt+2')
  await page.keyboard.press('c')
  await hands.fill('Transition name', name)
  await hands.pick(hands.dialog.locator('[name="from"]'), fromState)
  await hands.pick(hands.dialog.locator('[name="to"]'), toState)
  await hands.down(hands.dialog.getByLabel('Made by'), after ? 2 : autoTransform ? 1 : 0)
  if (after) await hands.fill('After, such as 10m', after)
  if (maxAttempts) await hands.fill('Times at most', String(maxAttempts))
  if (exhausted) await hands.pick(hands.dialog.getByLabel('Then'), exhausted)
  await hands.done()
  await expect(hands.field('Name')).toHaveValue(name)
  if (transition.attentionAfter) await hands.write('Attention After', String(transition.attentionAfter))
  if (!transition.deadline) return
  await page.keyboard.press('Alt+4')
  const group = properties(page).locator('details', { has: page.locator('summary', { hasText: /^Deadline/ }) })
  await hands.press(group.locator('summary'))
  await hands.type(group.getByLabel('After').first(), transition.deadline.after)
  await hands.type(group.getByLabel('Since').first(), transition.deadline.since)
}

test('the shop’s machine is made from nothing by keys alone', async ({ page, store }) => {
  test.setTimeout(1_200_000)
  await openAlone(page, store)
  const hands = new Hands(page)
  await begin(hands, page)
  await hands.choose(MACHINE.name)
  await hands.write('Description', MACHINE.description)
  await hands.choose('done')
  await hands.write('Name', END)
  await hands.write('Description', MACHINE.states[END]?.description ?? '')
  await hands.choose(MACHINE.initialState)
  await hands.write('Description', MACHINE.states[MACHINE.initialState]?.description ?? '')
  for (const [name, state] of Object.entries(MACHINE.states)) {
    if (name !== END && name !== MACHINE.initialState) await addState(hands, page, name, state)
  }
  await hands.choose('finish')
  await hands.write('Name', LAST)
  await hands.write('From State', MACHINE.transitions[LAST]?.fromState ?? '')
  await hands.down(properties(page).getByLabel('Auto Transform'), 1)
  // What another is made instead of has to be there before it.
  const transitions = Object.entries(MACHINE.transitions).filter(([name]) => name !== LAST)
  const isLate = ([, { exhausted }]: (typeof transitions)[number]) => exhausted !== undefined
  for (const [name, one] of [...transitions.filter((own) => !isLate(own)), ...transitions.filter(isLate)]) {
    await addTransition(hands, page, name, one)
  }
  await expectNoViolationsInBoth(page)
  const text = await exported(page)
  const made = lens(text)
  expect(at(made.source.value, ...DEFINITION)).toEqual(MACHINE)
  await expectAccepted(text)
  // Undone to the last key, nothing is left.
  while (await tool(page, 'Undo').isEnabled()) await page.keyboard.press('Control+z')
  await expect(page.getByText('0 modules')).toBeVisible()
})

/** In the place of the shop's own machine the host takes it, and says of it what it says of the shop's. */
async function expectAccepted(text: string): Promise<void> {
  const [own, made] = [lens(SHOP).source, lens(text).source]
  const [place, entry] = [own.entry(DEFINITION), made.entry(DEFINITION)]
  if (!place || !entry) throw new Error('no machine is written there')
  const insert = made.text.slice(entry.from, entry.to)
  const whole = applied(SHOP, [{ from: place.from, to: place.to, insert }])
  expect(lens(whole).source.value).toEqual(own.value)
  const validator = new Validator()
  try {
    expect(await validator.problems(whole)).toEqual(await validator.problems(SHOP))
  } finally {
    validator.end()
  }
}
