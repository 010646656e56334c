/**
 * Where a page was left, each visit of it: a link leads to the top, Back to where one was, as soon as the page is long enough
 * again. The browser's own way knows nothing of pages that are still on their way.
 */
import { useLayoutEffect } from 'react'

/** A page that is not long enough by then has become another. */
const PATIENCE_MS = 5_000

const KEPT = 'visits'

/** Pixels from the top, by visit. */
const left = new Map<string, number>(load())
let isReturning = false

export function useScroll(path: string) {
  useLayoutEffect(() => {
    history.scrollRestoration = 'manual'
    const keep = () => {
      if (!isReturning) left.set(visit(), window.scrollY)
    }
    const save = () => store([...left])
    window.addEventListener('scroll', keep, { passive: true })
    window.addEventListener('pagehide', save)
    return () => {
      window.removeEventListener('scroll', keep)
      window.removeEventListener('pagehide', save)
    }
  }, [])
  // biome-ignore lint/correctness/useExhaustiveDependencies: each path has its own place
  useLayoutEffect(() => returnTo(left.get(visit()) ?? 0), [path])
}

/** The name of this visit, which its entry in the browser's history keeps. */
function visit(): string {
  const known: unknown = history.state?.visit
  if (typeof known === 'string') return known
  const name = `${Date.now()}.${left.size}`
  history.replaceState({ ...history.state, visit: name }, '')
  return name
}

/** Until the place is reached, or the customer goes elsewhere. Returns what ends it. */
function returnTo(place: number): () => void {
  window.scrollTo(0, place)
  if (place === 0 || window.scrollY >= place - 1) return () => {}
  isReturning = true
  const watch = new ResizeObserver(() => {
    window.scrollTo(0, place)
    if (window.scrollY >= place - 1) end()
  })
  const end = () => {
    isReturning = false
    watch.disconnect()
    clearTimeout(late)
    for (const own of OWN_WAYS) window.removeEventListener(own, end)
  }
  const late = setTimeout(end, PATIENCE_MS)
  for (const own of OWN_WAYS) window.addEventListener(own, end)
  watch.observe(document.body)
  return end
}

/** By which customers go elsewhere on a page. */
const OWN_WAYS = ['wheel', 'touchmove', 'keydown', 'pointerdown'] as const

function load(): [string, number][] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(KEPT) ?? '[]')
    return Array.isArray(kept) ? kept.filter((each) => Array.isArray(each) && typeof each[1] === 'number') : []
  } catch {
    return []
  }
}

function store(visits: [string, number][]) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(visits.slice(-100)))
  } catch {
    // Then a reload begins at the top.
  }
}
