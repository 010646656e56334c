/**
 * Answers of the API, kept by key and shared by the components that show them: asked for once, shown at once the next time, asked
 * for again when they are old, when an interval has passed, or when the network is back. Knows nothing of what they are about.
 */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { isPassing } from './api/errors'

export interface Answer<T> {
  data: T | undefined
  /** Why the last time failed; data of before stays. */
  error: unknown
  /** When the data came, in milliseconds of the epoch. */
  at: number
}

type Ask<T> = (signal: AbortSignal, known: T | undefined) => Promise<T>

interface Kept {
  answer: Answer<unknown>
  running: AbortController | undefined
  listeners: Set<() => void>
}

/** Answers younger than this are not asked for again by a component that appears. */
const FRESH_MS = 10_000
const RETRY_MS = [400, 800]
const NOTHING: Answer<unknown> = { data: undefined, error: undefined, at: 0 }

const kept = new Map<string, Kept>()
/** Grows with each `forget`: what was begun before belongs to whoever was here then. */
let visit = 0

function entry(key: string): Kept {
  let found = kept.get(key)
  if (!found) {
    found = { answer: NOTHING, running: undefined, listeners: new Set() }
    kept.set(key, found)
  }
  return found
}

function change(key: string, answer: Answer<unknown>) {
  const { listeners } = Object.assign(entry(key), { answer })
  for (const listener of listeners) listener()
}

export function peek<T>(key: string): T | undefined {
  return kept.get(key)?.answer.data as T | undefined
}

/** Puts what another call has brought. */
export function put<T>(key: string, data: T) {
  change(key, { data, error: undefined, at: Date.now() })
}

/** Has whoever shows what `isOld` names ask again, now or when it appears. */
export function outdate(isOld: (key: string) => boolean) {
  for (const [key, { answer }] of kept) if (isOld(key)) change(key, { ...answer, at: 0 })
}

/** Drops everything whose key `isOver` names; whoever shows it asks anew. */
export function forget(isOver: (key: string) => boolean) {
  visit += 1
  for (const [key, own] of kept) {
    if (!isOver(key)) continue
    own.running?.abort()
    own.running = undefined
    change(key, NOTHING)
  }
}

async function ask<T>(key: string, question: Ask<T>) {
  const own = entry(key)
  if (own.running) return
  const running = new AbortController()
  own.running = running
  try {
    const data = await insist(() => question(running.signal, own.answer.data as T | undefined), running.signal)
    if (!running.signal.aborted) change(key, { data, error: undefined, at: Date.now() })
  } catch (error) {
    if (!running.signal.aborted) change(key, { ...own.answer, error, at: own.answer.at || 1 })
  } finally {
    if (own.running === running) own.running = undefined
  }
}

/** Again, a little later, where that may help. */
async function insist<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const wait of RETRY_MS) {
    try {
      return await question()
    } catch (error) {
      if (signal.aborted || !navigator.onLine || !isPassing(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
  return question()
}

interface Options<T> {
  /** Milliseconds to the next time, or nothing. */
  every?: (data: T | undefined) => number | undefined
}

/** `question` may be another function at each rendering; what it asks must follow from the key. */
export function useAnswer<T>(key: string, question: Ask<T>, { every }: Options<T> = {}) {
  const subscribe = useCallback(
    (listener: () => void) => {
      const { listeners } = entry(key)
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    [key],
  )
  const answer = useSyncExternalStore(subscribe, () => entry(key).answer) as Answer<T>

  // biome-ignore lint/correctness/useExhaustiveDependencies: the question follows from the key, and age counts once
  useEffect(() => {
    if (Date.now() - entry(key).answer.at > FRESH_MS) void ask(key, question)
  }, [key])
  // biome-ignore lint/correctness/useExhaustiveDependencies: the question follows from the key
  useEffect(() => {
    if (answer.at === 0) void ask(key, question)
  }, [key, answer.at])

  const interval = every?.(answer.data)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the question follows from the key
  useEffect(() => {
    if (interval === undefined) return
    // Nobody looks at a hidden tab; it catches up when it is seen again.
    const look = () => {
      if (!document.hidden) void ask(key, question)
    }
    const timer = setInterval(look, interval)
    document.addEventListener('visibilitychange', look)
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [key, interval])

  // biome-ignore lint/correctness/useExhaustiveDependencies: the question follows from the key
  const refresh = useCallback(() => void ask(key, question), [key])
  useEffect(() => {
    window.addEventListener('online', refresh)
    return () => window.removeEventListener('online', refresh)
  }, [refresh])
  return { ...answer, refresh }
}

/**
 * Something that changes the world, started by the customer. What starts it says `aria-disabled` while it is pending: a button that is
 * disabled loses the focus, and whoever works by keys their place. What comes of it, well or not, is of no use after a `forget`: whoever sees
 * the page then is another one.
 */
export function useAction<A extends unknown[], R>(
  perform: (...given: A) => Promise<R>,
  { onSuccess, onError }: { onSuccess: (result: R) => void; onError?: (error: unknown) => void },
) {
  const [isPending, setPending] = useState(false)
  const [error, setError] = useState<unknown>()
  const isRunning = useRef(false)
  const run = async (...given: A) => {
    // Impatient clicks are one, even those that come before the page shows that it is busy.
    if (isRunning.current) return
    isRunning.current = true
    setPending(true)
    setError(undefined)
    const begun = visit
    try {
      const result = await perform(...given)
      if (begun === visit) onSuccess(result)
    } catch (problem) {
      if (begun !== visit) return
      setError(problem)
      onError?.(problem)
    } finally {
      isRunning.current = false
      setPending(false)
    }
  }
  return { run, isPending, error }
}
