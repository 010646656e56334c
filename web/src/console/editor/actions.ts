/** What the buttons and keys of the editor do. */
import { toast } from '../../shared/ui/toasts'
import { decoded, encoded } from '../buffer.ts'
import { addModule } from '../commands.ts'
import { deleteModule, deletePath } from '../deleting.ts'
import { disconnect } from '../disconnect.ts'
import { lens } from '../lens.ts'
import {
  buffer,
  close,
  model,
  open,
  perform,
  performAll,
  say,
  select,
  shown,
  takeIn,
  UNDO,
  useEditor,
} from './documents.ts'
import { load } from './host.ts'
import { lookAtAll, put } from './places.ts'
import type { Place } from './placing.ts'
import { validate } from './problems.ts'
import { view } from './view.ts'

/** Shows what a file says. It is opened as it is, whatever that is, if it is text. */
export async function importFile(file: File): Promise<void> {
  let text: string
  try {
    text = decoded(new Uint8Array(await file.arrayBuffer()))
  } catch (error) {
    toast('error', `Failed to parse workflow file: ${(error as Error).message}`)
    return
  }
  const { readOnly, source } = lens(text)
  if (source.value === null && !readOnly) {
    toast('error', 'Failed to parse workflow file: it is empty. Accepted is a YAML file with `modules`.')
    return
  }
  takeIn(file.name, text)
  lookAtAll()
  if (readOnly) toast('error', `Failed to parse workflow file. ${readOnly}`)
  else toast('success', 'Workflow imported from file')
}

/** Gives the text as a file, byte for byte. */
export function exportFile(): void {
  download(buffer().text, 'workflow.yaml')
}

function download(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([encoded(text) as Uint8Array<ArrayBuffer>], { type: 'application/yaml' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** Saving is asked about first: a process takes what is saved into use. */
export function save(): void {
  if (buffer().text !== '') view({ saving: true })
}

/** The file is the person's: it is given under its own name, and counts as saved. */
export function saveAsFile({ isAway = false } = {}): void {
  const { name } = shown(useEditor.getState())
  const { text } = buffer()
  download(text, name)
  buffer().markSaved(text)
  toast(
    'success',
    isAway
      ? `No process answers here, so ${name} is given as a file.`
      : `${name} is saved as a file. Put it where the process reads it; it is checked there before it is used.`,
  )
}

export async function loadFromServer(): Promise<void> {
  const loaded = await load()
  if (loaded.kind === 'loaded') {
    const { path, text, digest } = loaded
    takeIn(path.split('/').at(-1) ?? 'workflow.yaml', text, { text, digest })
    lookAtAll()
    toast('success', 'Workflow loaded from server')
  } else if (loaded.kind === 'refused') {
    toast('error', `The server does not show its config: ${loaded.message}. Log in with a role that may look.`)
  } else {
    toast('error', 'No server answers here. Start one with an `operator.api`, and open this page from it.')
  }
}

/** Judges the config and says so. Returns whether there is something to read about it. */
export async function judge(): Promise<boolean> {
  const { valid, count, by, refused } = await validate()
  const local = refused ? ' (local check only: the server wants you to log in)' : ' (local check only)'
  const scope = by === 'host' ? '' : local
  if (valid) toast('success', `Workflow is valid${scope}`)
  else toast('error', `${count} ${count === 1 ? 'problem' : 'problems'} found${scope}`)
  return !valid
}

/** A new module, where it was dropped. */
export function add(type: string, place: Place | null): void {
  const made = perform((now) => addModule(now, { type }), { quiet: true })
  if (!made) return
  if (place) put(shown(useEditor.getState()), { [made.name]: place })
  say('done', `Added ${made.name}`)
  select({ modules: [made.name] })
}

/** Takes away what is selected. Nothing is asked: it can be taken back. */
export function deleteSelected(): void {
  const { selection } = useEditor.getState()
  const now = model()
  const edge = now.edges.find(({ id }) => id === selection.edge)
  if (edge) {
    if (perform((own) => disconnect(own, edge), { quiet: true })) {
      select({})
      say('done', `Disconnected ${edge.from} and ${edge.to}`, UNDO)
    }
    return
  }
  if (selection.path) {
    const { path } = selection
    if (path.length > 2 && perform((own) => deletePath(own, path), { quiet: true })) {
      select({})
      say('done', `Deleted ${path.at(-1)}`, UNDO)
    }
    return
  }
  const names = selection.modules.filter((name) => now.modules.some((module) => module.name === name))
  if (names.length === 0) return
  const left = names.flatMap((name) => leftBy(name))
  const label = names.length === 1 ? `Delete ${names[0]}` : `Delete ${names.length} modules`
  if (
    !performAll(
      label,
      names.map((name) => (own) => deleteModule(own, name)),
    )
  )
    return
  select({})
  const uses =
    left.length > 0 ? ` ${left.length} ${left.length === 1 ? 'place still names' : 'places still name'} it.` : ''
  say('done', `${label.replace('Delete', 'Deleted')}.${uses}`, UNDO)
}

function leftBy(name: string): unknown[] {
  try {
    return deleteModule(model(), name).left
  } catch {
    return []
  }
}

/** Closes a tab. What was not saved can be had back. */
export function closeTab(id: string): void {
  const config = useEditor.getState().configs.find((one) => one.id === id)
  if (!config) return
  const { saved } = buffer(id)
  close(id)
  const reopen = () => void open(config.name, config.text, { saved, base: config.base })
  if (config.dirty) say('done', `Closed ${config.name}, which was not saved.`, { label: 'Open again', run: reopen })
}
