/**
 * What the process is doing, as it happens. One tab of a browser has the stream and tells the others; a tab that nobody sees neither
 * has it nor asks for it.
 */
import { EventSource } from 'eventsource'
import { useSyncExternalStore } from 'react'
import * as session from '../../shared/desk/session'
import { inTurn } from '../../shared/turns'
import { type Component, PREFIX } from './api'
import { merged } from './merge'

export interface Live {
  workflows: Readonly<Record<string, WorkflowCounts>>
  components: Readonly<Record<string, Component>>
  waiting: Readonly<
    Record<'outbox' | 'parked' | 'deadLetters' | 'due' | 'timers' | 'attention' | 'held', number> & {
      outboxSeconds: number | null
    }
  >
  /** `up`, or why not; null without one. */
  bus: string | null
  /** Events that consumers are behind, by topic. */
  lag: Readonly<Record<string, number>>
}

export interface WorkflowCounts {
  unfinished: number
  oldestSeconds: number | null
  states: Readonly<Record<string, number>>
}

/** `live`: it comes as it happens; `lost`: what is shown is what was known last. */
export type Link = 'waiting' | 'live' | 'lost'

interface Known {
  live: Live | undefined
  link: Link
}

type News = { what: 'ask' } | { what: 'told'; who: string | undefined; live: Live }

const REOPEN_MS = 3_000

let known: Known = { live: undefined, link: 'waiting' }
const listeners = new Set<() => void>()
let stop: (() => void) | undefined

function change(next: Partial<Known>) {
  known = { ...known, ...next }
  for (const listener of listeners) listener()
}

/** Who the stream speaks to: what one is told, another tab shows only to the same. */
const who = () => session.get()?.user.id

/** Whether a page comes from the machine that shows it: that needs no network, and a browser is offline without one. */
export function isOnThisMachine(host: string): boolean {
  return /^(127(\.\d{1,3}){3}|\[::1\]|(.+\.)?localhost)$/.test(host)
}

/** Returns what ends it. */
function follow(): () => void {
  const others = new BroadcastChannel('operator-live')
  let source: EventSource | undefined
  let turn: AbortController | undefined
  let reopen: ReturnType<typeof setTimeout> | undefined

  const tell = () => {
    if (source && known.live) others.postMessage({ what: 'told', who: who(), live: known.live } satisfies News)
  }
  others.addEventListener('message', ({ data: news }: MessageEvent<News>) => {
    if (news.what === 'ask') tell()
    else if (!source && news.who === who()) change({ live: news.live, link: 'live' })
  })
  const take = (live: unknown) => {
    change({ live: live as Live, link: 'live' })
    tell()
  }
  const open = () => {
    const stream = new EventSource(`${PREFIX}/live`, {
      fetch: (url, init) => {
        const token = session.get()?.token
        return fetch(url, { ...init, headers: { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) } })
      },
    })
    source = stream
    stream.addEventListener('snapshot', (event) => take(JSON.parse(event.data)))
    stream.addEventListener('delta', (event) => take(merged(known.live, JSON.parse(event.data))))
    stream.addEventListener('error', () => {
      change({ link: 'lost' })
      if (stream.readyState === EventSource.CLOSED) reopen = setTimeout(open, REOPEN_MS)
    })
  }
  const end = () => {
    clearTimeout(reopen)
    source?.close()
    source = undefined
    turn?.abort()
  }
  const begin = () => {
    end()
    if (document.hidden || (!navigator.onLine && !isOnThisMachine(location.hostname))) return
    turn = new AbortController()
    inTurn(`operator-live ${who() ?? ''}`, turn.signal, {
      work: open,
      wait: () => others.postMessage({ what: 'ask' } satisfies News),
    })
  }
  let before = who()
  const unsubscribe = session.subscribe(() => {
    if (who() === before) return
    before = who()
    change({ live: undefined, link: 'waiting' })
    begin()
  })
  window.addEventListener('online', begin)
  document.addEventListener('visibilitychange', begin)
  begin()
  return () => {
    window.removeEventListener('online', begin)
    document.removeEventListener('visibilitychange', begin)
    unsubscribe()
    end()
    others.close()
  }
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  stop ??= follow()
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    stop?.()
    stop = undefined
  }
}

export function useLive(): Known {
  return useSyncExternalStore(subscribe, () => known)
}
