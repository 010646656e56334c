/** Light, dark, or as the system has it. `public/theme.js` applies the choice before the first paint. */
import { type Stored, stored, useStored } from '../storage'

export type Theme = 'system' | 'light' | 'dark'

const theme: Stored<Theme> = stored<Theme>('theme', {
  read: (text) => (text === 'light' || text === 'dark' ? text : 'system'),
  write: (value) => (value === 'system' ? null : value),
})

export const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' }

theme.subscribe(() => apply(theme.get()))

function apply(chosen: Theme) {
  if (chosen === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = chosen
}

export function useTheme(): [Theme, (next: Theme) => void] {
  return [useStored(theme), theme.set]
}
