import { afterEach, describe, expect, it, vi } from 'vitest'
import { inTurn } from './turns'

/** As browsers have them, for one name: who asks while it is taken waits, or hears that it is. */
class Locks {
  #taken: Promise<unknown> | undefined

  async request(_: string, { ifAvailable }: LockOptions, callback: (lock: object | null) => Promise<unknown>) {
    if (this.#taken && ifAvailable) return callback(null)
    while (this.#taken) await this.#taken
    const held = callback({})
    this.#taken = held.finally(() => {
      this.#taken = undefined
    })
    return held
  }
}

afterEach(() => Reflect.deleteProperty(navigator, 'locks'))

describe('one tab at a time', () => {
  it('does its work, and the next one after it', async () => {
    Object.defineProperty(navigator, 'locks', { value: new Locks(), configurable: true })
    const told: string[] = []
    const take = (tab: string) => {
      const turn = new AbortController()
      inTurn('x', turn.signal, { work: () => told.push(`${tab} works`), wait: () => told.push(`${tab} waits`) })
      return turn
    }
    const first = take('first')
    await vi.waitFor(() => expect(told).toEqual(['first works']))
    take('second')
    await vi.waitFor(() => expect(told).toEqual(['first works', 'second waits']))
    first.abort()
    await vi.waitFor(() => expect(told).toEqual(['first works', 'second waits', 'second works']))
  })

  it('works at once where there are no locks', () => {
    const work = vi.fn()
    inTurn('x', new AbortController().signal, { work, wait: vi.fn() })
    expect(work).toHaveBeenCalledOnce()
  })
})
