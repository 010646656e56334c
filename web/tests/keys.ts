/** A page that is worked by keys alone. What has the focus is always there and seen. */
import { expect, type Locator, type Page } from '@playwright/test'

/** So many presses of Tab lead anywhere on any page; a table has some for each of its rows. */
const MOST = 250

export class Keys {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  /** By Tab, until it has the focus. */
  async to(target: Locator) {
    await expect(target).toBeVisible()
    const has = () => target.evaluate((element) => element === document.activeElement)
    for (let presses = 0; !(await has()); presses += 1) {
      if (presses === MOST) throw new Error(`no key leads to ${target}`)
      await this.page.keyboard.press('Tab')
    }
    await this.expectSeen()
  }

  /** A button or a link is gone to and pressed. */
  async press(target: Locator) {
    await this.to(target)
    await this.page.keyboard.press('Enter')
  }

  async check(target: Locator) {
    await this.to(target)
    await this.page.keyboard.press('Space')
    await expect(target).toBeChecked()
  }

  /** In the place of what is there. */
  async type(target: Locator, text: string) {
    await this.to(target)
    await this.page.keyboard.press('ControlOrMeta+A')
    await this.page.keyboard.type(text)
    await expect(target).toHaveValue(text)
  }

  /** One of a few, by the first letters of its words. */
  async choose(target: Locator, words: string, value = words) {
    await this.to(target)
    await this.page.keyboard.type(words)
    await expect(target).toHaveValue(value)
  }

  /** What has the focus has an outline, its own or that of the row it stands for, and lies in the window. */
  async expectSeen() {
    const found = await this.page.evaluate(() => {
      const element = document.activeElement
      if (!element || element === document.body) return 'nothing has the focus'
      const isOutlined = (each: Element | null) => each !== null && getComputedStyle(each).outlineStyle !== 'none'
      const place = element.getBoundingClientRect()
      const isInside = place.bottom > 0 && place.top < innerHeight && place.right > 0 && place.left < innerWidth
      const words = element.outerHTML.slice(0, 200)
      if (!isInside) return `outside of the window: ${words}`
      return isOutlined(element) || isOutlined(element.closest('[role="row"]')) ? 'seen' : `no outline: ${words}`
    })
    expect(found).toBe('seen')
  }

  /** After a deed the focus is somewhere: the next Tab does not begin at the top of the page. */
  async expectKept() {
    const where = () =>
      this.page.evaluate(() => (document.activeElement === document.body ? 'lost' : document.activeElement?.tagName))
    await expect.poll(where).not.toBe('lost')
  }

  /** A question of its own: Tab stays in it, Escape closes it, and the focus is where it was. */
  async expectTrapped(dialog: Locator, opener: Locator) {
    await expect(dialog).toBeVisible()
    const isInside = () =>
      dialog.evaluate((element) => document.activeElement === document.body || element.contains(document.activeElement))
    for (let presses = 0; presses < 20; presses += 1) {
      expect(await isInside()).toBe(true)
      await this.page.keyboard.press(presses < 12 ? 'Tab' : 'Shift+Tab')
    }
    await this.page.keyboard.press('Escape')
    await expect(dialog).toHaveCount(0)
    await expect(opener).toBeFocused()
  }
}
