/** Pages by the part of the address after `#`. A path is decoded once; a pattern's `:name` takes one segment. */
import { type ComponentProps, type ReactNode, useState, useSyncExternalStore } from 'react'

type Params = Readonly<Record<string, string>>

/** Which page, from top to bottom; the first that matches. */
export interface Route {
  pattern: string
  page: (params: Params) => ReactNode
}

export function pathOf(hash: string): string {
  const path = hash.replace(/^#/, '').split('?')[0] ?? ''
  return path.startsWith('/') ? path : `/${path}`
}

/** What the pattern's names stand for, or nothing if the path is another one's. */
export function match(pattern: string, path: string): Params | undefined {
  const wanted = segments(pattern)
  const given = segments(path)
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, segment] of wanted.entries()) {
    const value = decode(given[index] ?? '')
    if (segment.startsWith(':')) params[segment.slice(1)] = value
    else if (segment !== value) return undefined
  }
  return params
}

export function find(routes: readonly Route[], path: string): ReactNode | undefined {
  for (const { pattern, page } of routes) {
    const params = match(pattern, path)
    if (params) return page(params)
  }
  return undefined
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => pathOf(location.hash))
}

/** Whoever shows the path hears of it at once, not when the browser gets round to it. */
export function navigate(path: string, { replace = false } = {}) {
  if (replace) location.replace(`#${path}`)
  else location.hash = path
  for (const listener of listeners) listener()
}

export function Link({ to, ...rest }: { to: string } & Omit<ComponentProps<'a'>, 'href'>) {
  return <a href={`#${to}`} {...rest} />
}

/** A value of this visit of a page: Back finds it again, a link begins anew. */
export function useVisit(name: string): [string | undefined, (value?: string) => void] {
  const [value, setValue] = useState<string | undefined>(() => history.state?.[name])
  const keep = (next?: string) => {
    history.replaceState({ ...history.state, [name]: next }, '')
    setValue(next)
  }
  return [value, keep]
}

const listeners = new Set<() => void>()

function subscribe(listener: () => void) {
  listeners.add(listener)
  window.addEventListener('hashchange', listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('hashchange', listener)
  }
}

function segments(path: string): string[] {
  return path.split('/').filter(Boolean)
}

/** An escape that is none is meant as it stands. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
