import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Change } from '../api/resources'
import { follow, type Link } from './follow'

/** The connections that were asked for: what each asked, and what to answer it with. */
interface Connection {
  headers: Headers
  signal: AbortSignal | null | undefined
  answer: (response: Response) => void
}

let asked: Connection[] = []
let changes: number[] = []
let links: Link[] = []
let stop: () => void = () => {}

function begin(after = 0) {
  vi.spyOn(globalThis, 'fetch').mockImplementation((_, init) => {
    return new Promise((answer) => asked.push({ headers: new Headers(init?.headers), signal: init?.signal, answer }))
  })
  stop = follow('order/1', {
    token: 'secret',
    after,
    onChange: ({ transition }) => changes.push(transition.seq),
    onLink: (link) => links.push(link),
  })
}

/** A stream of these transitions; it stays open unless it is told to break. */
function stream(seqs: number[], { breaks = false } = {}) {
  const body = new ReadableStream<Uint8Array>({
    start(out) {
      for (const seq of seqs) {
        const change: Pick<Change, 'state'> & { transition: { seq: number } } = { state: 'paid', transition: { seq } }
        out.enqueue(
          new TextEncoder().encode(`id: ${seq}\nevent: transition\ndata: ${JSON.stringify(change)}\nretry: 1\n\n`),
        )
      }
      if (breaks) out.close()
    },
  })
  const response = new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  Object.defineProperty(response, 'url', { value: 'http://localhost/api/orders/order%2F1/events' })
  return response
}

const sent = (index: number, header: string) => asked[index]?.headers.get(header)

beforeEach(() => {
  asked = []
  changes = []
  links = []
})

afterEach(() => {
  stop()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

describe('following an order', () => {
  it('begins after what is known, and in the name of the customer', async () => {
    begin(4)
    await vi.waitFor(() => expect(asked).toHaveLength(1))
    expect(sent(0, 'last-event-id')).toBe('4')
    expect(sent(0, 'authorization')).toBe('Bearer secret')
    asked[0]?.answer(stream([5]))
    await vi.waitFor(() => expect(changes).toEqual([5]))
    expect(links).toEqual(['connecting', 'live'])
  })

  it('goes on after the last event when the stream breaks', async () => {
    begin()
    await vi.waitFor(() => expect(asked).toHaveLength(1))
    expect(sent(0, 'last-event-id')).toBeNull()
    asked[0]?.answer(stream([1, 2, 3], { breaks: true }))
    await vi.waitFor(() => expect(asked).toHaveLength(2))
    expect(sent(1, 'last-event-id')).toBe('3')
    expect(links.at(-1)).toBe('broken')
    asked[1]?.answer(stream([4]))
    await vi.waitFor(() => expect(changes).toEqual([1, 2, 3, 4]))
    expect(links.at(-1)).toBe('live')
  })

  it('asks again, later, when the store refuses', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    begin(2)
    await vi.waitFor(() => expect(asked).toHaveLength(1))
    asked[0]?.answer(new Response('', { status: 503 }))
    await vi.waitFor(() => expect(links.at(-1)).toBe('broken'))
    await vi.advanceTimersByTimeAsync(10_000)
    await vi.waitFor(() => expect(asked).toHaveLength(2))
    expect(sent(1, 'last-event-id')).toBe('2')
  })

  it('knows that nothing will follow', async () => {
    begin(8)
    await vi.waitFor(() => expect(asked).toHaveLength(1))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    asked[0]?.answer(new Response(null, { status: 204 }))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(links).toEqual(['connecting'])
    expect(asked).toHaveLength(1)
  })

  it('leaves the connection to others while nobody sees the tab, and catches up afterwards', async () => {
    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(false)
    begin(1)
    await vi.waitFor(() => expect(asked).toHaveLength(1))
    asked[0]?.answer(stream([2]))
    await vi.waitFor(() => expect(changes).toEqual([2]))
    hidden.mockReturnValue(true)
    document.dispatchEvent(new Event('visibilitychange'))
    expect(asked[0]?.signal?.aborted).toBe(true)
    hidden.mockReturnValue(false)
    document.dispatchEvent(new Event('visibilitychange'))
    await vi.waitFor(() => expect(asked).toHaveLength(2))
    expect(sent(1, 'last-event-id')).toBe('2')
  })

  it('takes what another tab tells, unless something is missing before it', async () => {
    begin(1)
    const other = new BroadcastChannel('order-changes')
    const tell = (orderId: string, seq: number) => other.postMessage({ orderId, change: { transition: { seq } } })
    tell('order/2', 2)
    tell('order/1', 3)
    tell('order/1', 2)
    await vi.waitFor(() => expect(changes).toEqual([2]))
    other.close()
  })

  it('ends with its page', async () => {
    begin()
    await vi.waitFor(() => expect(asked).toHaveLength(1))
    stop()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    asked[0]?.answer(stream([1]))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(changes).toEqual([])
    expect(asked).toHaveLength(1)
  })
})
