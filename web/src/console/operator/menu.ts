/** The pages of the menu, and how much of what they show asks for somebody. */
import type { Way } from '../../shared/desk/ui/Shell'
import { useLive } from './live'

export const MENU: readonly Way[] = [
  { path: '/', name: 'Editor', icon: 'flow' },
  { path: '/instances', name: 'Instances', icon: 'list' },
  { path: '/waiting', name: 'Waiting', icon: 'clock' },
  { path: '/components', name: 'Components', icon: 'box' },
  { path: '/history', name: 'History', icon: 'history' },
  { path: '/audit', name: 'Audit', icon: 'scroll' },
]

/** The entry that a path lies below. The machine of a workflow is drawn by the editor. */
export function entryOf(path: string): Way | undefined {
  if (path.startsWith('/machine/') || path === '/create' || path === '/processes') return MENU[0]
  return MENU.find((entry) => path === entry.path || (entry.path !== '/' && path.startsWith(`${entry.path}/`)))
}

export function useWays(): readonly Way[] {
  const { live } = useLive()
  if (!live) return MENU
  const { attention, parked, deadLetters } = live.waiting
  const counts: Readonly<Record<string, number>> = { '/instances': attention, '/waiting': parked + deadLetters }
  return MENU.map((way) => ({ ...way, count: counts[way.path] }))
}
