/** What the editor offers to those who look for it by its words: its buttons, its keys, what can be added, and every name of the config. */
import { navigate } from '../../shared/router'
import type { Offered } from '../finder/offered.ts'
import { add, closeTab, deleteSelected, exportFile, judge, loadFromServer, save } from './actions.ts'
import { clear, model, redo, select, show, shown, undo, useEditor } from './documents.ts'
import type { Gestures } from './keys.ts'
import { machinePath } from './machine/address.ts'
import { lookAtAll } from './places.ts'
import { PALETTE } from './roles.ts'
import { toggle, view } from './view.ts'

interface Wanted extends Omit<Offered, 'id'> {
  /** Left out where it cannot be done now. */
  isOpen?: boolean
}

export function editorCommands(gestures: Gestures): Offered[] {
  const own = [...file(), ...edit(gestures), ...panels(gestures), ...additions(), ...places()]
  return own
    .filter(({ isOpen = true }) => isOpen)
    .map(({ isOpen, ...offered }, index) => ({ ...offered, id: `${index} ${offered.group} ${offered.label}` }))
}

function file(): Wanted[] {
  const { id, text } = shown(useEditor.getState())
  const isOpen = text.trim() !== ''
  const group = 'File'
  return [
    { group, label: 'Save', keys: 'Ctrl+S', isOpen, run: save },
    { group, label: 'Validate', isOpen, run: () => void judge().then((found) => found && view({ problems: true })) },
    { group, label: 'Import a file', run: chooseFile },
    { group, label: 'Load the config of the server', run: () => void loadFromServer() },
    { group, label: 'Export as YAML', isOpen, run: exportFile },
    { group, label: 'Clear', isOpen, run: clear },
    { group, label: 'Close this config', run: () => closeTab(id) },
  ]
}

function chooseFile(): void {
  document.querySelector<HTMLInputElement>('.toolbar input[type="file"]')?.click()
}

function edit({ connect, rename }: Gestures): Wanted[] {
  const { selection, configs, active } = useEditor.getState()
  const { undoLabel, redoLabel } = shown({ configs, active })
  const hasModule = selection.modules.length > 0
  const hasAny = hasModule || selection.edge !== null || selection.path !== null
  const group = 'Edit'
  return [
    { group, label: `Undo: ${undoLabel}`, keys: 'Ctrl+Z', isOpen: undoLabel !== null, run: undo },
    { group, label: `Redo: ${redoLabel}`, keys: 'Ctrl+Shift+Z', isOpen: redoLabel !== null, run: redo },
    { group, label: 'Connect what is selected', keys: 'C', isOpen: hasAny, run: connect },
    { group, label: 'Rename what is selected', keys: 'F2', isOpen: hasAny, run: rename },
    { group, label: 'Delete what is selected', keys: 'Delete', isOpen: hasAny, run: deleteSelected },
  ]
}

function panels({ nextProblem }: Gestures): Wanted[] {
  const group = 'View'
  return [
    { group, label: 'Text', run: () => toggle('text') },
    { group, label: 'AI Copilot: explain, mend, suggest', keys: 'Alt+5', run: () => view({ copilot: true }) },
    { group, label: 'Container View: the processes and their modules', run: () => navigate('/processes') },
    { group, label: 'Components', run: () => view({ components: true }) },
    { group, label: 'Create Component: a new one, from its files to the config', run: () => view({ creating: true }) },
    { group, label: 'Problems', run: () => toggle('problems') },
    { group, label: 'Next problem', keys: 'F8', run: nextProblem },
    { group, label: 'Outline', run: () => view({ side: 'outline' }) },
    { group, label: 'Palette of modules', run: () => view({ side: 'modules' }) },
    { group, label: 'Auto-group', run: autoGroup },
    { group, label: 'Whole drawing', run: lookAtAll },
    { group, label: 'Keys', keys: '?', run: () => view({ help: true }) },
  ]
}

function autoGroup(): void {
  toggle('isGrouped')
  lookAtAll()
}

function additions(): Wanted[] {
  const types = PALETTE.flatMap((one) => one.types)
  return types.map(({ type, label }) => ({ group: 'Add', label, run: () => add(type, null) }))
}

/** Where something of the config is seen. */
function places(): Wanted[] {
  const { modules, machines } = model()
  const { configs, active } = useEditor.getState()
  const drawings = [
    { label: 'Modules', path: '/' },
    ...machines.map(({ name }) => ({ label: name, path: machinePath(name) })),
  ]
  return [
    ...drawings.map(({ label, path }) => ({ group: 'Drawing', label, run: () => navigate(path) })),
    ...configs
      .filter(({ id }) => id !== active)
      .map(({ id, name }) => ({ group: 'Tab', label: `${name} (${id.slice(0, 4)})`, run: () => show(id) })),
    ...modules.map(({ name }) => ({ group: 'Module', label: name, run: () => seeModule(name) })),
    ...machines.flatMap((machine) =>
      machine.states.map((state) => ({
        group: 'State',
        label: `${state.name} of ${machine.name}`,
        run: () => {
          navigate(machinePath(machine.name))
          select({ path: state.path })
        },
      })),
    ),
  ]
}

function seeModule(name: string): void {
  navigate('/')
  select({ modules: [name] })
}
