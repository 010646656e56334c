/** The pages of the menu, and who has a use for each. */
import { has, type Role } from '../shared/desk/session'
import type { Way } from '../shared/desk/ui/Shell'

export interface Entry extends Way {
  /** One of these; without, everybody who works here. */
  roles?: readonly Role[]
}

export const MENU: readonly Entry[] = [
  { path: '/', name: 'Overview', icon: 'grid' },
  { path: '/orders', name: 'Orders', icon: 'bag', roles: ['support', 'finance'] },
  { path: '/products', name: 'Products', icon: 'tag', roles: ['catalogue'] },
  { path: '/stock', name: 'Stock', icon: 'box', roles: ['catalogue'] },
  { path: '/people', name: 'People', icon: 'user', roles: ['admin'] },
  { path: '/audit', name: 'Audit', icon: 'list', roles: ['admin'] },
]

export function menuFor(own: readonly Role[]): readonly Entry[] {
  return MENU.filter(({ roles }) => !roles || has(own, ...roles))
}

/** The entry that a path lies below. */
export function entryOf(path: string): Entry | undefined {
  return MENU.find((entry) => entry.path !== '/' && (path === entry.path || path.startsWith(`${entry.path}/`)))
}
