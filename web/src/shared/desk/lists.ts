/** Lists that come page by page, kept by key: a page of the admin that is come back to shows what it had. */
import { useCallback } from 'react'
import { put, useAction, useAnswer } from '../answers'
import type { Page } from './api/call'

type Get<T> = (cursor: string | undefined, signal: AbortSignal | null) => Promise<Page<T>>

/** `get` follows from the key. As far as somebody wanted to see the list, it is asked for again. */
export function useList<T>(key: string, get: Get<T>, { every }: { every?: number } = {}) {
  const { data, error, refresh } = useAnswer<Page<T>>(key, (signal, known) => asFarAs(get, known, signal), {
    // A long list is not asked for as a whole again and again.
    every: (known) => (known && known.items.length <= LIVE ? every : undefined),
  })
  const more = useAction(() => atLeast(1, get, data?.cursor, null), {
    onSuccess: ({ items, cursor }) => put(key, { items: [...(data?.items ?? []), ...items], cursor }),
  })
  const show = useCallback(() => void refresh(), [refresh])
  return { items: data?.items, hasMore: data?.cursor !== undefined, error, refresh: show, more }
}

/** Rows up to which a list is asked for again by itself. */
const LIVE = 100

/** Parts that are asked for until there is something to show: one may be empty and lead on, where much was looked at and little found. */
const MOST_PARTS = 20

async function asFarAs<T>(get: Get<T>, known: Page<T> | undefined, signal: AbortSignal): Promise<Page<T>> {
  return atLeast(known?.items.length ?? 1, get, undefined, signal)
}

async function atLeast<T>(
  count: number,
  get: Get<T>,
  from: string | undefined,
  signal: AbortSignal | null,
): Promise<Page<T>> {
  let { items, cursor } = await get(from, signal)
  for (let part = 1; cursor && items.length < count && part < Math.max(MOST_PARTS, count); part += 1) {
    const next = await get(cursor, signal)
    items = [...items, ...next.items]
    cursor = next.cursor
  }
  return { items, cursor }
}
