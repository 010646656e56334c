/** What keys do, wherever the focus is. In a field they do what they do in fields. */
import { useEffect, useRef } from 'react'
import { deleteSelected, save } from './actions.ts'
import { redo, select, undo } from './documents.ts'
import { useView, view } from './view.ts'

/** As they are told in the help. */
export const KEYS: readonly [string, string][] = [
  ['Ctrl+K', 'Find a command, a page or a name'],
  ['Ctrl+Z', 'Undo'],
  ['Ctrl+Shift+Z or Ctrl+Y', 'Redo'],
  ['Ctrl+S', 'Save'],
  ['Delete or Backspace', 'Delete what is selected'],
  ['Escape', 'Select nothing'],
  ['F2', 'Rename what is selected'],
  ['F8', 'Next problem'],
  ['C', 'Connect the selected module with another'],
  ['Alt+1', 'Modules, or the outline'],
  ['Alt+2', 'Canvas'],
  ['Alt+3', 'Text'],
  ['Alt+4', 'Properties'],
  ['Alt+5', 'AI Copilot'],
  ['?', 'This help'],
]

/** In the outline. */
export const OUTLINE_KEYS: readonly [string, string][] = [
  ['Arrows, Home, End', 'Go through the tree; right opens, left closes'],
  ['Letters', 'Go to what begins with them'],
  ['Enter', 'Edit it in the form'],
  ['C', 'Connect it'],
  ['F2', 'Rename it'],
  ['Delete', 'Delete it'],
]

export interface Gestures {
  connect: () => void
  rename: () => void
  nextProblem: () => void
}

type Press = (event: KeyboardEvent) => boolean

export function useKeys(gestures: Gestures): void {
  const latest = useRef(gestures)
  latest.current = gestures
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector('dialog[open]')) return
      const own: Press = event.ctrlKey || event.metaKey ? withControl : event.altKey ? withAlt : plain(latest.current)
      if (own(event)) event.preventDefault()
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [])
}

/** Where what is typed is text. */
function isTextField(target: EventTarget | null): boolean {
  const field = target instanceof Element ? target.closest('input, textarea, select, [contenteditable="true"]') : null
  return field !== null && !(field instanceof HTMLInputElement && ['radio', 'checkbox'].includes(field.type))
}

/** What is typed into forms and into the text is in the history of the config, so that they are undone like everything else. */
const withControl: Press = (event) => {
  const key = event.key.toLowerCase()
  if (key === 's') save()
  else if (key === 'z' && event.shiftKey) redo()
  else if (key === 'z') undo()
  else if (key === 'y') redo()
  else return false
  return true
}

const PANELS: Record<string, string> = {
  Digit1: 'panel-side',
  Digit2: 'panel-canvas',
  Digit3: 'panel-text',
  Digit4: 'panel-properties',
  Digit5: 'panel-copilot',
}

const withAlt: Press = ({ code }) => {
  const panel = PANELS[code]
  if (!panel) return false
  const { text, copilot } = useView.getState()
  if (panel === 'panel-text' && !text) {
    view({ text: true })
    requestAnimationFrame(() => focusPanel(panel))
  } else if (panel === 'panel-copilot' && !copilot) {
    // It takes the focus itself, once it is there.
    view({ copilot: true })
  } else focusPanel(panel)
  return true
}

/** The panel's current thing, or itself where it has none. */
function focusPanel(id: string): void {
  const own = document.getElementById(id)
  const first = own?.querySelector<HTMLElement>(
    '[role="treeitem"][tabindex="0"], .cm-content, .react-flow__node, .setting-input, textarea',
  )
  ;(first ?? own)?.focus()
}

function plain({ connect, rename, nextProblem }: Gestures): Press {
  const everywhere: Record<string, () => void> = { F2: rename, F8: nextProblem }
  const outside: Record<string, () => void> = {
    Delete: deleteSelected,
    Backspace: deleteSelected,
    Escape: () => select({}),
    '?': () => view({ help: !useView.getState().help }),
    c: connect,
  }
  return ({ key, target }) => {
    const own = everywhere[key] ?? (isTextField(target) ? undefined : outside[key])
    own?.()
    return own !== undefined
  }
}
