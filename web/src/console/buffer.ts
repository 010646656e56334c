/** The text of one config, which is the only truth about it: every view is made from it, and every gesture is a few edits of it. */
import { applied, difference, type Edit, inverted } from './edits.ts'

/** Steps that can be undone. */
export const MAX_STEPS = 500
/** What is typed within so many milliseconds of each other is one step. */
export const TYPING_PAUSE = 800

/** One thing that a person did. Each change is a list of edits of the text that the one before left. */
interface Step {
  label: string
  typed: boolean
  changes: { edits: Edit[]; inverse: Edit[] }[]
}

/** What the edits were, for a view that follows them, such as one with a cursor. */
export type Listener = (edits: readonly Edit[]) => void

export class TextBuffer {
  #text: string
  #saved: string
  #undo: Step[] = []
  #redo: Step[] = []
  #lastTyped = Number.NEGATIVE_INFINITY
  readonly #now: () => number
  readonly #listeners = new Set<Listener>()

  /** `now` gives milliseconds. The text counts as saved. */
  constructor(text: string, now: () => number) {
    this.#text = text
    this.#saved = text
    this.#now = now
  }

  get text(): string {
    return this.#text
  }

  /** What was saved or opened. */
  get saved(): string {
    return this.#saved
  }

  /** Whether the bytes differ from those that were saved or opened, and nothing else. */
  get dirty(): boolean {
    return this.#text !== this.#saved
  }

  /** What Undo takes back, or `null`. */
  get undoLabel(): string | null {
    return this.#undo.at(-1)?.label ?? null
  }

  /** What Redo does again, or `null`. */
  get redoLabel(): string | null {
    return this.#redo.at(-1)?.label ?? null
  }

  /** A gesture: all of it is one step, `label` is what the person did. Edits that change nothing leave no step. */
  apply(edits: readonly Edit[], label: string): void {
    const change = this.#change(edits)
    if (change) this.#push({ label, typed: false, changes: [change] })
    this.#lastTyped = Number.NEGATIVE_INFINITY
  }

  /** What a person types: one step with what was typed shortly before. */
  type(edits: readonly Edit[], label = 'Typing'): void {
    const now = this.#now()
    const last = this.#undo.at(-1)
    const goesOn = last?.typed === true && last.label === label && now - this.#lastTyped <= TYPING_PAUSE
    const change = this.#change(edits)
    if (!change) return
    this.#lastTyped = now
    if (goesOn) {
      last.changes.push(change)
      this.#redo = []
      return
    }
    this.#push({ label, typed: true, changes: [change] })
  }

  /** Another text as one step: an import, a cleared canvas, an older version. */
  replace(text: string, label: string): void {
    this.apply(difference(this.#text, text), label)
  }

  /** Takes the last step back; `false` if there is none. */
  undo(): boolean {
    const step = this.#undo.pop()
    if (!step) return false
    for (const { inverse } of step.changes.toReversed()) this.#set(inverse)
    this.#redo.push(step)
    this.#lastTyped = Number.NEGATIVE_INFINITY
    return true
  }

  /** Does the step again that was taken back last; `false` if there is none. */
  redo(): boolean {
    const step = this.#redo.pop()
    if (!step) return false
    for (const { edits } of step.changes) this.#set(edits)
    this.#undo.push(step)
    this.#lastTyped = Number.NEGATIVE_INFINITY
    return true
  }

  /** `text` is what is saved now. It may be older than what is here: a person goes on typing while a save is under way. */
  markSaved(text: string): void {
    this.#saved = text
    this.#lastTyped = Number.NEGATIVE_INFINITY
    for (const listener of this.#listeners) listener([])
  }

  /** Calls `listener` after each change. Returns what ends that. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #change(edits: readonly Edit[]): Step['changes'][number] | null {
    const before = this.#text
    if (applied(before, edits) === before) return null
    const change = { edits: [...edits], inverse: inverted(before, edits) }
    this.#set(change.edits)
    return change
  }

  #push(step: Step): void {
    this.#undo.push(step)
    if (this.#undo.length > MAX_STEPS) this.#undo.shift()
    this.#redo = []
  }

  #set(edits: readonly Edit[]): void {
    this.#text = applied(this.#text, edits)
    for (const listener of this.#listeners) listener(edits)
  }
}

/** The text of a file, with its byte order mark if it has one. Throws where it is not UTF-8: it could not be written back as it was. */
export function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Error('The file is not text in UTF-8. Accepted is a YAML file in UTF-8.')
  }
}

/** The bytes of a text: those of the file that it was read from, if it is unchanged. */
export function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
