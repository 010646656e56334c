/**
 * Pages by the part of the address after `#`. A path is decoded once; a pattern's `:name` takes one segment. What follows a `?` there is
 * what the page was asked for: filters of a list for example, which a copied address keeps.
 */

import { type ComponentProps, type ReactNode, useMemo, useState } from 'react'
import { parse } from 'regexparam'
import { useHashLocation } from 'wouter/use-hash-location'

type Params = Readonly<Record<string, string>>

/** Which page, from top to bottom; the first that matches. */
export interface Route {
  pattern: string
  page: (params: Params) => ReactNode
}

/** What the pattern's names stand for, or nothing if the path is another one's. */
export function match(pattern: string, path: string): Params | undefined {
  const { keys, pattern: whole } = parse(pattern)
  const found = whole.exec(path)
  return found ? Object.fromEntries(keys.map((name, index) => [name, decode(found[index + 1] ?? '')])) : undefined
}

export function find(routes: readonly Route[], path: string): ReactNode | undefined {
  for (const { pattern, page } of routes) {
    const params = match(pattern, path)
    if (params) return page(params)
  }
  return undefined
}

export function usePath(): string {
  return useHashLocation()[0].replace(/\?.*$/, '')
}

/** The path with what it is asked for, as it is written. */
export function useAddress(): string {
  return useHashLocation()[0]
}

/** What follows the `?` of the path, by name. */
export function useQuery(): URLSearchParams {
  const written = useHashLocation()[0].replace(/^[^?]*/, '')
  return useMemo(() => new URLSearchParams(written), [written])
}

/** The path with what it is asked for; what is empty is left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const named = Object.entries(query).filter((each): each is [string, string] => Boolean(each[1]))
  return named.length > 0 ? `${path}?${new URLSearchParams(named)}` : path
}

/** What the pages of lists were asked for last, by their path. */
const last = new Map<string, string>()

/** Keeps what a page is asked for, so that others lead back to just that. */
export function keepAddress(path: string, query: URLSearchParams) {
  last.set(path, query.size > 0 ? `${path}?${query}` : path)
}

/** For another person, whom it does not concern what this one has looked for. */
export function forgetAddresses() {
  last.clear()
}

/** The path with what it was asked for when it was last shown. */
export function lastAddress(path: string): string {
  return last.get(path) ?? path
}

/** Whoever shows the path hears of it at once, not when the browser gets round to it. A `?` stays within it. */
export function navigate(path: string, { replace = false } = {}) {
  const oldURL = location.href
  history[replace ? 'replaceState' : 'pushState'](null, '', `#${path}`)
  dispatchEvent(new HashChangeEvent('hashchange', { oldURL, newURL: location.href }))
}

/** An ordinary link: the browser does the rest. */
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

/** An escape that is none is meant as it stands. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
