/** Light, dark, or as the system has it; each press is the next of them. */
import { Icon } from './Icon'
import { NEXT, useTheme } from './theme'

export function ThemeButton() {
  const [theme, setTheme] = useTheme()
  const icon = { system: 'auto', light: 'sun', dark: 'moon' } as const
  return (
    <button
      type="button"
      className="icon-button theme-button"
      aria-label={`Theme: ${theme}`}
      title={`Theme: ${theme}`}
      onClick={() => setTheme(NEXT[theme])}
    >
      <Icon name={icon[theme]} />
    </button>
  )
}
