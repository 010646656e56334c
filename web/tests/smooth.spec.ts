/** Whether long lists keep up with the finger: what the page computes for each frame, by the browser's own trace. */
import { newMember, signIn } from './staff'
import { expect, test } from './store'
import { FRAME_MS, frames } from './tracing'

const ROWS = 1_000
const WHEEL_PX = 400
const TURNS = 120

test('a list of a thousand rows scrolls at sixty frames a second', async ({ visitor, browser, startOwn }) => {
  const products = Array.from({ length: ROWS }, (_, index) => ({
    id: `thing-${String(index).padStart(4, '0')}`,
    data: {
      name: `Thing number ${index}`,
      price: 10 + index,
      category: 'Electronics',
      description: 'One of many.',
      image: '/img/electronics.svg',
      stock: 10,
    },
    state: 'active',
  }))
  const own = await startOwn({ products })
  const member = await newMember(own, 'catalogue')
  const page = await visitor({ baseURL: own.url })
  await signIn(page, member, '/products')
  const table = page.getByRole('table', { name: 'Products' })
  await expect(async () => {
    const more = page.getByRole('button', { name: 'Show more' })
    if (await more.isVisible()) await more.click()
    expect(Number(await table.getAttribute('aria-rowcount'))).toBe(ROWS + 1)
  }).toPass({ intervals: [100] })
  await page.mouse.move(640, 450)
  const spent = await frames(browser, page, async () => {
    for (let turn = 0; turn < TURNS; turn += 1) await page.mouse.wheel(0, WHEEL_PX)
  })
  const at = (part: number) => spent[Math.min(spent.length - 1, Math.floor(spent.length * part))] ?? Infinity
  const said = [0.5, 0.95, 0.99, 1].map((part) => at(part).toFixed(1))
  console.log(`a frame of a list of ${ROWS}: ${said.join(', ')} ms (half, 95 %, 99 %, worst) of ${spent.length} frames`)
  expect(spent.length).toBeGreaterThan(TURNS / 4)
  expect(at(0.95)).toBeLessThan(FRAME_MS)
})
