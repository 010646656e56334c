/** Lists that come page by page, kept by key: a page of the admin that is come back to shows what it had. */
import { useCallback } from 'react'
import { put, useAction, useAnswer } from '../shared/answers'
import type { Page } from './api/call'

type Get<T> = (cursor: string | undefined, signal: AbortSignal | null) => Promise<Page<T>>

/** `get` follows from the key. As far as somebody wanted to see the list, it is asked for again. */
export function useList<T>(key: string, get: Get<T>, { every }: { every?: number } = {}) {
  const { data, error, refresh } = useAnswer<Page<T>>(key, (signal, known) => asFarAs(get, known, signal), {
    // A long list is not asked for as a whole again and again.
    every: (known) => (known && known.items.length <= LIVE ? every : undefined),
  })
  const more = useAction(() => get(data?.cursor, null), {
    onSuccess: ({ items, cursor }) => put(key, { items: [...(data?.items ?? []), ...items], cursor }),
  })
  const show = useCallback(() => void refresh(), [refresh])
  return { items: data?.items, hasMore: data?.cursor !== undefined, error, refresh: show, more }
}

const LIVE = 100

async function asFarAs<T>(get: Get<T>, known: Page<T> | undefined, signal: AbortSignal): Promise<Page<T>> {
  let { items, cursor } = await get(undefined, signal)
  while (cursor && items.length < (known?.items.length ?? 0)) {
    const next = await get(cursor, signal)
    items = [...items, ...next.items]
    cursor = next.cursor
  }
  return { items, cursor }
}
