/**
 * Who works by keys keeps their place. A button that has done its work may be gone with what it was in; the browser then forgets where
 * the focus was, and the next Tab begins at the top of the page. Here it goes to what is left around it.
 */
import { useEffect } from 'react'

/** What can be gone to when a part of it is gone. */
const PARTS = 'section, form, fieldset, dialog, [role="table"], main'

/** An element and all that it lies in, the innermost first. */
export type Trail = readonly Element[]

export function trailOf(element: Element | null): Trail {
  const trail: Element[] = []
  for (let each = element; each && each !== document.body; each = each.parentElement) trail.push(each)
  return trail
}

/** To where the focus was, or to the nearest part around it that is still there. */
export function goBack([last, ...around]: Trail) {
  if (last instanceof HTMLElement && last.isConnected) last.focus()
  else {
    const part = around.find((each) => each.isConnected && each.matches(PARTS)) ?? document.getElementById('main')
    if (!(part instanceof HTMLElement)) return
    if (!part.hasAttribute('tabindex')) part.tabIndex = -1
    part.focus()
  }
}

function isLost(): boolean {
  return document.activeElement === null || document.activeElement === document.body
}

export function useKeptFocus() {
  useEffect(() => {
    let trail: Trail = []
    let frame = 0
    const remember = ({ target }: Event) => {
      if (target instanceof Element) trail = trailOf(target)
    }
    // Whoever points beside everything wants the focus nowhere.
    const forget = () => {
      trail = []
    }
    const look = () => {
      frame = 0
      const [last] = trail
      // What is there and has no focus was left on purpose.
      if (isLost() && last && !last.isConnected) goBack(trail)
    }
    // Pages and forms that come in its place may take the focus themselves.
    const watcher = new MutationObserver(() => {
      if (isLost() && frame === 0) frame = requestAnimationFrame(look)
    })
    document.addEventListener('focusin', remember)
    document.addEventListener('pointerdown', forget)
    watcher.observe(document.body, { childList: true, subtree: true })
    return () => {
      document.removeEventListener('focusin', remember)
      document.removeEventListener('pointerdown', forget)
      watcher.disconnect()
      cancelAnimationFrame(frame)
    }
  }, [])
}
