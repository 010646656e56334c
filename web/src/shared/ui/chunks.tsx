/**
 * Pages whose code comes when they are wanted, or before that when the browser has nothing else to do: so a click without a network
 * shows the page all the same. Code that could not be loaded is asked for again the next time it is wanted.
 */
import { type ComponentType, createElement, lazy } from 'react'

type Load<P> = () => Promise<{ default: ComponentType<P> }>

/** Who is likely to want a page: what a visitor never sees does not weigh on a first visit. */
type For = 'everybody' | 'members'

const loads: Record<For, (() => Promise<unknown>)[]> = { everybody: [], members: [] }
const failed = new Set<() => void>()

/** `nobody` in particular: the code comes only when the page is wanted. */
export function lazily<P extends object>(load: Load<P>, who: For | 'nobody' = 'everybody'): ComponentType<P> {
  const begin = () => {
    const running = load()
    running.catch(() => failed.add(renew))
    return running
  }
  const renew = () => {
    Page = lazy(begin)
  }
  let Page = lazy(begin)
  if (who !== 'nobody') loads[who].push(load)
  return (props) => createElement(Page as ComponentType<P>, props)
}

/** React keeps a failure for ever: what has failed is asked for again after this. */
export function tryFailedAgain() {
  for (const renew of failed) renew()
  failed.clear()
}

/** One after the other; what fails now is for the next time that it is wanted. */
export function loadWhenIdle(who: For) {
  const next = loads[who].shift()
  if (next) whenIdle(() => void next().then(again, again))
  function again() {
    loadWhenIdle(who)
  }
}

function whenIdle(work: () => void) {
  if ('requestIdleCallback' in window) requestIdleCallback(work, { timeout: 5_000 })
  else setTimeout(work, 1_000)
}
