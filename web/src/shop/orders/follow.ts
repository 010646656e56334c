/**
 * Follows one order by server-sent events, from where its history ends. The stream reconnects and resumes by itself; when the
 * store refuses it, the network is gone, or another tab has the browser's one stream, this says so, and whoever asked looks at
 * the order every now and then instead.
 */
import { EventSource } from 'eventsource'
import { inTurn } from '../../shared/turns'
import type { Change } from '../api/resources'

export type Link = 'connecting' | 'live' | 'shared' | 'broken' | 'offline'

interface Follower {
  token: string
  /** The last transition that is known. */
  after: number
  onChange(change: Change): void
  onLink(link: Link): void
}

/** Until a stream that was refused is asked for again. */
const REOPEN_MS = 5_000

/** What one tab tells the others. */
interface News {
  orderId: string
  change: Change
}

/** Returns what ends it. */
export function follow(orderId: string, { token, after, onChange, onLink }: Follower): () => void {
  let source: EventSource | undefined
  let reopen: ReturnType<typeof setTimeout> | undefined
  let turn: AbortController | undefined
  let last = after
  const others = new BroadcastChannel('order-changes')

  const take = (change: Change) => {
    last = Math.max(last, change.transition.seq)
    onChange(change)
  }
  others.addEventListener('message', ({ data: news }: MessageEvent<News>) => {
    // What is missing in between is seen at the next look.
    if (news.orderId === orderId && news.change.transition.seq === last + 1) take(news.change)
  })

  const open = () => {
    onLink('connecting')
    const stream = new EventSource(`/api/orders/${encodeURIComponent(orderId)}/events`, {
      fetch: (url, init) =>
        fetch(url, {
          ...init,
          headers: {
            ...init.headers,
            Authorization: `Bearer ${token}`,
            // Every connection goes on after what is known, the first one too.
            ...(last > 0 && { 'Last-Event-ID': String(last) }),
          },
        }),
    })
    source = stream
    stream.addEventListener('open', () => onLink('live'))
    stream.addEventListener('transition', (event) => {
      const change: Change = JSON.parse(event.data)
      take(change)
      others.postMessage({ orderId, change } satisfies News)
    })
    stream.addEventListener('error', ({ code }) => {
      // 204: nothing will follow.
      if (code === 204) return end()
      onLink(navigator.onLine ? 'broken' : 'offline')
      if (stream.readyState === EventSource.CLOSED) reopen = setTimeout(open, REOPEN_MS)
    })
  }
  const end = () => {
    clearTimeout(reopen)
    source?.close()
    turn?.abort()
  }
  /** A tab that nobody sees, or that has no network, leaves the turn to others. */
  const begin = () => {
    end()
    if (!navigator.onLine) return onLink('offline')
    if (document.hidden) return
    turn = new AbortController()
    inTurn('order-events', turn.signal, { work: open, wait: () => onLink('shared') })
  }

  window.addEventListener('online', begin)
  window.addEventListener('offline', begin)
  document.addEventListener('visibilitychange', begin)
  begin()
  return () => {
    window.removeEventListener('online', begin)
    window.removeEventListener('offline', begin)
    document.removeEventListener('visibilitychange', begin)
    end()
    others.close()
  }
}
