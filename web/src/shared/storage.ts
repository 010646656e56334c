/**
 * Values that outlive the page: kept in local storage, shared by the tabs of a browser, watched by components.
 * Knows nothing of what the values mean.
 */
import { useSyncExternalStore } from 'react'

export interface Stored<T> {
  get(): T
  /** As it is kept at this moment, whichever tab has written it. */
  latest(): T
  set(value: T): void
  /** Changes what is kept at this moment, so that nothing of what another tab has just written is lost. */
  update(change: (value: T) => T): void
  subscribe(listener: () => void): () => void
}

/** How a value is written; `read` gets null when there is none, and must bear anything that somebody else left there. */
export interface Format<T> {
  read(text: string | null): T
  write(value: T): string | null
}

export function stored<T>(key: string, format: Format<T>): Stored<T> {
  let text = load(key)
  let value = format.read(text)
  let isKept = true
  const listeners = new Set<() => void>()

  const take = (next: string | null) => {
    if (next === text) return
    text = next
    value = format.read(next)
    for (const listener of listeners) listener()
  }
  const look = () => {
    if (isKept) take(load(key))
  }
  // What is kept is what counts, whoever has changed it: a session that was removed by hand is over with the next page.
  window.addEventListener('hashchange', look)
  // A page that comes back as it was left has heard of nothing meanwhile.
  window.addEventListener('pageshow', look)
  window.addEventListener('storage', (event) => {
    // A null key: everything was cleared.
    if (event.key === key || event.key === null) take(load(key))
  })

  const set = (next: T) => {
    const written = format.write(next)
    isKept = save(key, written)
    take(written)
  }
  const latest = () => {
    look()
    return value
  }
  return {
    get: () => value,
    latest,
    set,
    update: (change) => set(change(latest())),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

export function useStored<T>(source: Stored<T>): T {
  return useSyncExternalStore(source.subscribe, source.get)
}

/** JSON that `check` accepts; anything else reads as `fallback`. */
export function json<T>(fallback: T, check: (value: unknown) => T | undefined): Format<T> {
  return {
    read(raw) {
      if (raw === null) return fallback
      try {
        return check(JSON.parse(raw)) ?? fallback
      } catch {
        return fallback
      }
    },
    write: (value) => (value === null ? null : JSON.stringify(value)),
  }
}

// Storage may be forbidden or full; then a value lives as long as the page.
function load(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function save(key: string, written: string | null): boolean {
  try {
    if (written === null) localStorage.removeItem(key)
    else localStorage.setItem(key, written)
    return true
  } catch {
    return false
  }
}
