/** Which lines of a text belong to an entry, and where new ones go. */
import { isCollection, type YAMLMap, type YAMLSeq } from 'yaml'
import { type Edit, Refusal } from './edits.ts'
import { type Entry, isFlow, type Path, type Range, type Source } from './source.ts'

/** A comment that divides a file into parts and belongs to no entry. */
const BANNER = /^#+\s*[-=*~_#]{3}/

/** Whether brackets or braces are around what is at this path. */
export function isInFlow(source: Source, path: Path): boolean {
  return path.some((_, depth) => isFlow(source.node(path.slice(0, depth))))
}

/** Whether an entry begins in the line of what it is in, as the first key after a dash does. */
export function isCompact(source: Source, { from }: Range): boolean {
  return source.text.slice(source.lineStart(from), from).trim() !== ''
}

/** After the colon or the dash of an entry of a block. */
export function afterMark(source: Source, { key, from }: Entry): number {
  return key?.range ? source.text.indexOf(':', key.range[1]) + 1 : from + 1
}

/** Where the comments directly above an entry begin, without their indentation; its own first byte where there are none. */
function withComments(source: Source, entry: Entry): number {
  if (isCompact(source, entry)) return entry.from
  const column = source.column(entry.from)
  let start = entry.from
  for (;;) {
    const line = source.lineStart(start)
    if (line < 2) return start
    const above = source.lineStart(line - 1) + column
    const own = source.comments.some(({ from }) => from === above) && above < line
    if (!own || source.text.slice(source.lineStart(above), above).trim() !== '') return start
    if (BANNER.test(source.text.slice(above, line))) return start
    start = above
  }
}

/** From the comments directly above an entry to its last line, without the indentation of the first and the line break of the last. */
export function slot(source: Source, entry: Entry): Range {
  if (isFlow(entry.parent)) return { from: entry.from, to: entry.to }
  const end = source.lineEnd(entry.to)
  const lineBreak = /\r?\n$/.exec(source.text.slice(Math.max(0, end - 2), end))?.[0] ?? ''
  return { from: withComments(source, entry), to: end - lineBreak.length }
}

/** The lines that go with an entry when it is taken away: with the comments directly above, and with one of two blank lines around it. */
export function ownLines(source: Source, entry: Entry): Range {
  const from = source.lineStart(withComments(source, entry))
  const to = source.lineEnd(entry.to)
  const isFirst = entry.index === 0
  const blankBefore = isFirst || from === 0 || /(^|\n)[ \t]*\r?\n$/.test(source.text.slice(0, from).slice(-200))
  const blankAfter = /^[ \t]*\r?\n/.exec(source.text.slice(to, to + 200))
  return { from, to: blankBefore && blankAfter ? to + blankAfter[0].length : to }
}

/** New lines after the line that content ends in. */
export function linesAfter(source: Source, end: number, lines: readonly string[]): Edit {
  const at = source.lineEnd(end)
  const text = lines.join(source.newline)
  const unended = at > 0 && source.text[at - 1] !== '\n'
  return { from: at, to: at, insert: unended ? source.newline + text : text + source.newline }
}

/** What stands between brackets or braces, after what is there. */
export function flowInsertion(source: Source, parent: YAMLMap | YAMLSeq, index: number, text: string): Edit {
  const entries = source.entries(parent)
  const start = parent.range?.[0] ?? 0
  const before = entries[index - 1]
  if (before) {
    const separator = ownLine(source, before, start)
      ? `,${source.newline}${' '.repeat(source.column(before.from))}`
      : ', '
    return { from: before.to, to: before.to, insert: separator + text }
  }
  const first = entries[0]
  if (first) return { from: first.from, to: first.from, insert: `${text}, ` }
  return { from: start + 1, to: start + 1, insert: text }
}

function ownLine(source: Source, entry: Entry, start: number): boolean {
  const end = source.lineEnd(entry.to)
  return (
    source.lineStart(entry.from) > start && !isCompact(source, entry) && !source.hasComment({ from: entry.to, to: end })
  )
}

/** Takes an entry out of brackets or braces, with one comma. */
export function flowRemoval(source: Source, entry: Entry): Edit[] {
  const entries = source.entries(entry.parent)
  const [before, after] = [entries[entry.index - 1], entries[entry.index + 1]]
  if (entry.value && isCollection(entry.value) && entry.value.anchor)
    throw new Refusal('It has an anchor; edit it as text.')
  const comma = /^\s*,/.exec(source.text.slice(entry.to))?.[0].length ?? 0
  const gap = before ? { from: before.to, to: entry.to } : { from: entry.from, to: after?.from ?? entry.to + comma }
  const around = before ? { from: before.to, to: entry.from } : { from: entry.to, to: gap.to }
  if (source.hasComment(around)) throw new Refusal('There are comments around it within brackets; edit it as text.')
  return [{ ...gap, insert: '' }]
}

/** Whether most entries of a list have a blank line between them. */
export function isSpaced(source: Source, entries: readonly Entry[]): boolean {
  const spaced = entries.filter((entry, index) => {
    const before = entries[index - 1]
    const gap = before ? source.text.slice(source.lineEnd(before.to), source.lineStart(entry.from)) : ''
    return /^[ \t]*\r?\n/m.test(gap)
  })
  return spaced.length * 2 > entries.length - 1
}
