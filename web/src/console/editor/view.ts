/** Which panels are seen, kept with this browser. */
import { create } from 'zustand'

export type Side = 'modules' | 'outline'

interface View {
  side: Side
  text: boolean
  /** In the place of the text. */
  copilot: boolean
  /** In that place too. */
  components: boolean
  /** The dialog that begins a component. */
  creating: boolean
  problems: boolean
  isGrouped: boolean
  help: boolean
  /** The dialog before a save. */
  saving: boolean
}

/** There is room for one of them beside the drawing. */
const BESIDE = ['text', 'copilot', 'components'] as const

const KEY = 'millrace-editor-view'

export const useView = create<View>(() => ({
  side: 'modules',
  text: false,
  copilot: false,
  components: false,
  creating: false,
  problems: false,
  isGrouped: false,
  help: false,
  saving: false,
  ...kept(),
}))

function kept(): Partial<View> {
  try {
    const { side, text } = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<View>
    return { ...(side === 'outline' ? { side } : {}), ...(text === true ? { text } : {}) }
  } catch {
    return {}
  }
}

/** Shows or hides panels. */
export function view(change: Partial<View>): void {
  const taken = BESIDE.find((panel) => change[panel])
  const others = taken ? Object.fromEntries(BESIDE.map((panel) => [panel, panel === taken])) : {}
  useView.setState({ ...others, ...change })
  const { side, text } = useView.getState()
  try {
    localStorage.setItem(KEY, JSON.stringify({ side, text }))
  } catch {
    // Storage may be forbidden or full.
  }
}

export function toggle(panel: 'text' | 'copilot' | 'components' | 'problems' | 'isGrouped' | 'help'): void {
  view({ [panel]: !useView.getState()[panel] })
}
