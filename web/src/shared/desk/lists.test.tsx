import { act, renderHook } from '@testing-library/react'
import { beforeEach, describe, expect, it } from 'vitest'
import { forget } from '../answers'
import type { Page } from './api/call'
import { useList } from './lists'

beforeEach(() => forget(() => true))

/** A list whose parts are these; the cursor is the number of the next. */
function parts(...all: number[][]) {
  const asked: (string | undefined)[] = []
  const get = async (cursor: string | undefined): Promise<Page<number>> => {
    asked.push(cursor)
    const at = Number(cursor ?? 0)
    return { items: all[at] ?? [], cursor: at + 1 < all.length ? String(at + 1) : undefined }
  }
  return { get, asked }
}

describe('a list', () => {
  it('grows by a part at a time', async () => {
    const { get } = parts([1, 2], [3])
    const { result } = renderHook(() => useList('grows', get))
    await expect.poll(() => result.current.items).toEqual([1, 2])
    expect(result.current.hasMore).toBe(true)
    await act(() => result.current.more.run())
    expect(result.current.items).toEqual([1, 2, 3])
    expect(result.current.hasMore).toBe(false)
  })

  it('goes on where a part is empty and leads on', async () => {
    const { get, asked } = parts([], [], [7], [8])
    const { result } = renderHook(() => useList('empty', get))
    await expect.poll(() => result.current.items).toEqual([7])
    expect(asked).toEqual([undefined, '1', '2'])
  })

  it('is asked for again as far as it was seen', async () => {
    const { get } = parts([1], [2], [3])
    const { result } = renderHook(() => useList('again', get))
    await expect.poll(() => result.current.items).toEqual([1])
    await act(() => result.current.more.run())
    await act(async () => result.current.refresh())
    await expect.poll(() => result.current.items).toEqual([1, 2])
  })
})
