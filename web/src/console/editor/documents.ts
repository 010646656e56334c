/** The configs that are open, each a text with its own history, and what is selected in the one that is shown. */
import { create } from 'zustand'
import { TextBuffer } from '../buffer.ts'
import type { Change } from '../commands.ts'
import { type Edit, Refusal } from '../edits.ts'
import { lens, type Model } from '../lens.ts'
import type { Path } from '../source.ts'

/** What is known of an open config without its text's history. */
export interface OpenConfig {
  id: string
  /** Its file's name. */
  name: string
  text: string
  dirty: boolean
  undoLabel: string | null
  redoLabel: string | null
  /** The config of a process that it was made from; `null` of what came from elsewhere. */
  base: Base | null
}

/** A config of a process, as it was when it was read. */
export interface Base {
  /** Of the file, as the process tells it; secrets are blotted out in the text alone. */
  digest: string
  text: string
}

/** What a person has chosen. Modules are named, since their places in the text change; everything else is where it is written. */
export interface Selection {
  modules: readonly string[]
  edge: string | null
  path: Path | null
}

/** What has been done, told to those who cannot see it, and whether it can be taken back by a button. */
export interface Said {
  id: number
  kind: 'done' | 'refused'
  message: string
  offer: Offer | null
  /** What the config said then: what is offered holds as long as it says so. */
  text: string
}

/** A way back, which is offered until something else is done. */
export interface Offer {
  label: string
  run: () => void
}

interface Editor {
  configs: readonly OpenConfig[]
  active: string
  selection: Selection
  said: Said | null
}

const NOTHING: Selection = { modules: [], edge: null, path: null }
const UNTITLED = 'workflow.yaml'

const buffers = new Map<string, TextBuffer>()
const first = opened(UNTITLED, '')

export const useEditor = create<Editor>(() => ({
  configs: [first],
  active: first.id,
  selection: NOTHING,
  said: null,
}))

/** The config that is shown. */
export function shown({ configs, active }: Pick<Editor, 'configs' | 'active'>): OpenConfig {
  return configs.find(({ id }) => id === active) ?? (configs[0] as OpenConfig)
}

export function useShown(): OpenConfig {
  return useEditor(shown)
}

export function useModel(): Model {
  return lens(useShown().text)
}

/** The text, with its history, of the config that is shown. */
export function buffer(id = useEditor.getState().active): TextBuffer {
  const found = buffers.get(id)
  if (!found) throw new Error(`no open config ${id}`)
  return found
}

export function model(): Model {
  return lens(buffer().text)
}

/** Not `randomUUID`, which browsers have for secure pages only. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

function opened(
  name: string,
  text: string,
  { id = newId(), saved = text, base = null }: { id?: string; saved?: string; base?: Base | null } = {},
): OpenConfig {
  const own = new TextBuffer(saved, () => performance.now())
  if (text !== saved) own.replace(text, 'Changes of before')
  buffers.set(id, own)
  own.subscribe(() => queueMicrotask(() => renew(id)))
  return seen({ id, name, base })
}

function seen({ id, name, base }: Pick<OpenConfig, 'id' | 'name' | 'base'>): OpenConfig {
  const { text, dirty, undoLabel, redoLabel } = buffer(id)
  return { id, name, base, text, dirty, undoLabel, redoLabel }
}

/** After a change, once its step is in the history. */
function renew(id: string): void {
  useEditor.setState(({ configs }) => ({
    configs: configs.map((config) => (config.id === id ? seen(config) : config)),
  }))
}

function renewNow(): void {
  renew(useEditor.getState().active)
}

/** Opens another config in a tab of its own and shows it. `saved`: the bytes of its file, where the text is a draft of another. */
export function open(
  name: string,
  text: string,
  kept: { id?: string; saved?: string; base?: Base | null } = {},
): string {
  const config = opened(name, text, kept)
  useEditor.setState(({ configs }) => ({ configs: [...configs, config], active: config.id, selection: NOTHING }))
  return config.id
}

/** Instead of everything that is open: what was found from before. */
export function restore(
  configs: readonly { id: string; name: string; text: string; saved: string; base?: Base | null }[],
): void {
  if (configs.length === 0) return
  const all = configs.map(({ name, text, ...kept }) => opened(name, text, kept))
  useEditor.setState({ configs: all, active: (all[0] as OpenConfig).id, selection: NOTHING })
}

/** A file that was read: in the place of an empty config, or in a tab of its own. */
export function takeIn(name: string, text: string, base: Base | null = null): void {
  const here = shown(useEditor.getState())
  if (here.text !== '' || here.dirty) {
    open(name, text, { base })
    return
  }
  const own = buffer(here.id)
  own.replace(text, `Import ${name}`)
  own.markSaved(text)
  useEditor.setState(({ configs }) => ({
    configs: configs.map((config) => (config.id === here.id ? seen({ ...here, name, base }) : config)),
    selection: NOTHING,
  }))
}

/** From now on a config is made from this one of its process. It counts as saved where it says the same. */
export function rebase(id: string, base: Base): void {
  useEditor.setState(({ configs }) => ({
    configs: configs.map((config) => (config.id === id ? { ...config, base } : config)),
  }))
  buffer(id).markSaved(base.text)
}

/** Another text in the place of this one, as one step to undo. */
export function replace(id: string, text: string, label: string): void {
  buffer(id).replace(text, label)
  renew(id)
}

export function show(id: string): void {
  useEditor.setState({ active: id, selection: NOTHING })
}

/** Closes a tab; there is always one. */
export function close(id: string): void {
  useEditor.setState(({ configs, active }) => {
    const at = configs.findIndex((config) => config.id === id)
    const left = configs.filter((config) => config.id !== id)
    const all = left.length > 0 ? left : [opened(UNTITLED, '')]
    const next = all[Math.min(at, all.length - 1)] as OpenConfig
    return { configs: all, active: active === id ? next.id : active, selection: NOTHING }
  })
  buffers.delete(id)
}

export function select(selection: Partial<Selection>): void {
  const next = { ...NOTHING, ...selection }
  const now = useEditor.getState().selection
  if (JSON.stringify(next) !== JSON.stringify(now)) useEditor.setState({ selection: next })
}

let saidBefore = 0

/** Tells what has been done, or why it was not. */
export function say(kind: Said['kind'], message: string, offer: Offer | null = null): void {
  useEditor.setState({ said: { id: ++saidBefore, kind, message, offer, text: buffer().text } })
}

/** Makes a gesture on the config that is shown. `null`: it was refused, and the reason is told. */
export function perform<T extends Change>(
  gesture: (model: Model) => T,
  { typed = false, quiet = false } = {},
): T | null {
  try {
    const made = gesture(model())
    write(made.edits, made.label, typed)
    renewNow()
    if (!quiet) say('done', told(made))
    return made
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    say('refused', error.message)
    return null
  }
}

/** Several gestures, each on what the one before left, as one step. */
export function performAll(label: string, gestures: readonly ((model: Model) => Change)[]): boolean {
  const before = buffer().text
  try {
    let text = before
    for (const gesture of gestures) {
      const scratch = new TextBuffer(text, () => 0)
      scratch.apply(gesture(lens(text)).edits, '')
      text = scratch.text
    }
    buffer().replace(text, label)
    renewNow()
    return true
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    say('refused', error.message)
    return false
  }
}

function write(edits: readonly Edit[], label: string, typed: boolean): void {
  if (typed) buffer().type(edits, label)
  else buffer().apply(edits, label)
}

/** `Add router; written at line 12`. */
function told({ label, edits }: Change): string {
  const [edit] = edits
  if (!edit) return label
  const { line } = model().source.position(edit.from + (edit.insert.length - edit.insert.trimStart().length))
  return `${label}: line ${line}`
}

export function undo(): void {
  const label = buffer().undoLabel
  if (!buffer().undo()) return
  renewNow()
  say('done', `Undone: ${label}`)
}

/** Offers to take back what was just done. */
export const UNDO: Offer = { label: 'Undo', run: undo }

export function redo(): void {
  const label = buffer().redoLabel
  if (!buffer().redo()) return
  renewNow()
  say('done', `Done again: ${label}`)
}

/** The whole text as a step: nothing is asked, since it can be undone. */
export function clear(): void {
  buffer().replace('', 'Clear')
  renewNow()
  select({})
  say('done', 'The config is empty.', UNDO)
}
