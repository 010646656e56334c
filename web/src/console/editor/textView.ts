/** The text of a config in CodeMirror. The buffer is the truth: what is typed goes there, and what comes from there is shown. */
import { defaultKeymap, indentWithTab } from '@codemirror/commands'
import { yaml } from '@codemirror/lang-yaml'
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, lintGutter, setDiagnostics } from '@codemirror/lint'
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search'
import { Annotation, EditorState, StateEffect, StateField } from '@codemirror/state'
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from '@codemirror/view'
import { tags } from '@lezer/highlight'
import type { TextBuffer } from '../buffer.ts'
import type { Edit } from '../edits.ts'
import type { Range } from '../source.ts'
import type { Problem } from './judge.ts'

/** A change that came from the buffer, and does not go back there. */
const fromBuffer = Annotation.define<boolean>()
const chosen = StateEffect.define<Range | null>()

const chosenLines = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(lines, { changes, effects, state }) {
    for (const effect of effects) if (effect.is(chosen)) return linesOf(state, effect.value)
    return lines.map(changes)
  },
  provide: (field) => EditorView.decorations.from(field),
})

const CHOSEN = Decoration.line({ class: 'cm-chosen' })

function linesOf({ doc }: EditorState, range: Range | null): DecorationSet {
  if (!range) return Decoration.none
  const lines = []
  for (let at = doc.lineAt(range.from); ; at = doc.line(at.number + 1)) {
    lines.push(CHOSEN.range(at.from))
    if (at.to >= range.to || at.number === doc.lines) break
  }
  return Decoration.set(lines)
}

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--text-key)' },
  { tag: [tags.string, tags.content], color: 'var(--ink)' },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: 'var(--text-value)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--soft)', fontStyle: 'italic' },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace, tags.meta], color: 'var(--soft)' },
  { tag: [tags.labelName, tags.typeName], color: 'var(--text-value)' },
])

/** How positions of the text and of the view differ: a line break is one character there, also where it is two bytes here. */
interface Breaks {
  separator: '\n' | '\r\n'
}

function breaksOf(text: string): Breaks {
  const all = text.match(/\n/g)?.length ?? 0
  return { separator: all > 0 && text.match(/\r\n/g)?.length === all ? '\r\n' : '\n' }
}

export interface TextEvents {
  /** The cursor was put somewhere by the person. */
  onCursor: (at: number) => void
}

export class TextView {
  readonly #view: EditorView
  readonly #buffer: TextBuffer
  readonly #end: () => void
  #breaks: Breaks

  constructor(parent: HTMLElement, buffer: TextBuffer, { onCursor }: TextEvents) {
    this.#buffer = buffer
    this.#breaks = breaksOf(buffer.text)
    this.#view = new EditorView({ parent, state: this.#state(onCursor) })
    this.#onCursor = onCursor
    this.#end = buffer.subscribe((edits) => this.#take(edits))
  }
  readonly #onCursor: TextEvents['onCursor']

  destroy(): void {
    this.#end()
    this.#view.destroy()
  }

  focus(): void {
    this.#view.focus()
  }

  /** Marks the lines of what is selected, and brings them into view unless the person is in the text. */
  choose(range: Range | null): void {
    const own = range && { from: this.#fromText(range.from), to: this.#fromText(range.to) }
    const effects: StateEffect<unknown>[] = [chosen.of(own)]
    if (own && !this.#view.hasFocus) effects.push(EditorView.scrollIntoView(own.from, { y: 'start', yMargin: 60 }))
    this.#view.dispatch({ effects })
  }

  /** Underlines problems. */
  tell(problems: readonly Problem[]): void {
    const most = this.#view.state.doc.length
    const diagnostics = problems.map(({ from, to, severity, message, help }): Diagnostic => {
      const start = Math.min(this.#fromText(from), most)
      const end = Math.min(Math.max(this.#fromText(to), start), most)
      return { from: start, to: end, severity, message: help ? `${message}\n${help}` : message }
    })
    this.#view.dispatch(setDiagnostics(this.#view.state, diagnostics))
  }

  #state(onCursor: TextEvents['onCursor']): EditorState {
    return EditorState.create({
      doc: this.#buffer.text,
      extensions: [
        EditorState.lineSeparator.of(this.#breaks.separator),
        lineNumbers(),
        lintGutter(),
        drawSelection(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        highlightSelectionMatches(),
        bracketMatching(),
        indentOnInput(),
        indentUnit.of('  '),
        search({ top: true }),
        yaml(),
        syntaxHighlighting(COLOURS),
        chosenLines,
        keymap.of([...searchKeymap, ...defaultKeymap, indentWithTab]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': 'Text of the config', tabindex: '0' }),
        EditorView.updateListener.of(({ docChanged, selectionSet, transactions, changes, startState, state }) => {
          const own = transactions.some((one) => one.annotation(fromBuffer))
          if (docChanged && !own) this.#give(changes, startState)
          if (selectionSet && !own && this.#view.hasFocus) onCursor(this.#toText(state, state.selection.main.head))
        }),
      ],
    })
  }

  /** From the view to the buffer. */
  #give(changes: import('@codemirror/state').ChangeSet, before: EditorState): void {
    const edits: Edit[] = []
    changes.iterChanges((from, to, _, __, inserted) => {
      const insert = inserted.sliceString(0, inserted.length, this.#breaks.separator)
      edits.push({ from: this.#toText(before, from), to: this.#toText(before, to), insert })
    })
    this.#isGiving = true
    try {
      this.#buffer.type(edits)
    } finally {
      this.#isGiving = false
    }
  }
  #isGiving = false

  /** From the buffer to the view. */
  #take(edits: readonly Edit[]): void {
    if (this.#isGiving || edits.length === 0) return
    const { text } = this.#buffer
    const breaks = breaksOf(text)
    const isSame = breaks.separator === this.#breaks.separator && breaks.separator === '\n'
    if (!isSame) {
      // Positions are counted otherwise from here on.
      this.#breaks = breaks
      this.#view.setState(this.#state(this.#onCursor))
      return
    }
    this.#view.dispatch({
      changes: edits.map(({ from, to, insert }) => ({ from, to, insert })),
      annotations: fromBuffer.of(true),
    })
    if (this.#view.state.sliceDoc() !== text) this.#view.setState(this.#state(this.#onCursor))
  }

  #toText({ doc }: EditorState, at: number): number {
    return this.#breaks.separator === '\n' ? at : at + doc.lineAt(at).number - 1
  }

  #fromText(at: number): number {
    if (this.#breaks.separator === '\n') return Math.min(at, this.#view.state.doc.length)
    const before = this.#buffer.text.slice(0, at).match(/\r\n/g)?.length ?? 0
    return Math.min(at - before, this.#view.state.doc.length)
  }
}
