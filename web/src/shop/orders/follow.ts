/**
 * Follows one order by server-sent events, from where its history ends. The stream reconnects and resumes by itself; when the
 * store refuses it or the network is gone, this says so, and whoever asked looks at the order every now and then instead.
 */
import { EventSource } from 'eventsource'
import type { Change } from '../api/resources'

export type Link = 'connecting' | 'live' | 'broken' | 'offline'

interface Follower {
  token: string
  /** The last transition that is known. */
  after: number
  onChange(change: Change): void
  onLink(link: Link): void
}

/** Until a stream that was refused is asked for again. */
const REOPEN_MS = 5_000

/** Returns what ends it. */
export function follow(orderId: string, { token, after, onChange, onLink }: Follower): () => void {
  let source: EventSource | undefined
  let reopen: ReturnType<typeof setTimeout> | undefined
  let last = after

  const open = () => {
    close()
    if (!navigator.onLine) return onLink('offline')
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
      last = Math.max(last, change.transition.seq)
      onChange(change)
    })
    stream.addEventListener('error', ({ code }) => {
      // 204: nothing will follow.
      if (code === 204) return close()
      onLink(navigator.onLine ? 'broken' : 'offline')
      if (stream.readyState === EventSource.CLOSED) reopen = setTimeout(open, REOPEN_MS)
    })
  }
  const close = () => {
    clearTimeout(reopen)
    source?.close()
  }
  const goOffline = () => {
    close()
    onLink('offline')
  }

  window.addEventListener('online', open)
  window.addEventListener('offline', goOffline)
  open()
  return () => {
    window.removeEventListener('online', open)
    window.removeEventListener('offline', goOffline)
    close()
  }
}
