/** Edits of one value, key or item, wherever it is. Every function is given paths in the text as it is, and refuses what cannot be done. */
import { isCollection, isMap, isScalar, isSeq, type YAMLMap, type YAMLSeq } from 'yaml'
import { type Edit, Refusal } from './edits.ts'
import {
  afterMark,
  flowInsertion,
  flowRemoval,
  isCompact,
  isInFlow,
  isSpaced,
  linesAfter,
  ownLines,
  slot,
} from './layout.ts'
import { quoting, type ScalarValue, written } from './scalars.ts'
import { type Entry, isEmpty, isFlow, nameOf, type Path, type Source } from './source.ts'
import { entryLines, flowText, itemLines, keyText, styleOf, type Value } from './style.ts'

/** The key whose value is at this path, or that the list around it is the value of. */
function keyOf(path: Path): string {
  return String(path.findLast((step) => typeof step === 'string') ?? '')
}

/** The key that the one of `keyOf` is in. */
function holderOf(path: Path): string {
  const keys = path.filter((step) => typeof step === 'string')
  return keys.at(-2) ?? ''
}

function found(source: Source, path: Path): Entry {
  source.demand(path)
  const entry = source.entry(path)
  if (!entry) throw new Refusal(`There is nothing at ${path.join('.') || 'the top'}.`)
  return entry
}

/** Another single value in the place of one, in the quotes of the old one. */
export function setScalar(source: Source, path: Path, value: ScalarValue): Edit[] {
  const entry = found(source, path)
  const style = styleOf(source)
  const flow = isInFlow(source, path)
  const setting = { flow, column: source.column(entry.from) + (entry.key ? style.step : 2), newline: source.newline }
  const node = entry.value
  if (!node) {
    const text = written(value, style.quoting(keyOf(path), holderOf(path)), { ...setting, block: false })
    return [{ from: entry.to, to: entry.to, insert: `: ${text}` }]
  }
  if (!isScalar(node)) throw new Refusal(`${path.join('.')} is not a single value.`)
  if (Object.is(node.value, value)) return []
  const [from, to] = node.range
  const old = typeof node.value === 'string' ? quoting(node) : style.quoting(keyOf(path), holderOf(path))
  const block = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED'
  const text = written(value, old, { ...setting, block })
  if (isEmpty(node)) return [{ from: entry.to, to: entry.to, insert: ` ${text}` }]
  return [{ from, to, insert: block ? inPlaceOfBlock(source, from, to, text) : text }]
}

/** A text block ends with its line break and may have a comment in its first line; both stay. */
function inPlaceOfBlock(source: Source, from: number, to: number, text: string): string {
  const comment = source.comments.find((one) => one.from > from && one.to <= to)
  const note = comment ? ` ${source.text.slice(comment.from, comment.to).trimEnd()}` : ''
  if (text.startsWith('|')) return text.replace(source.newline, note + source.newline)
  return text + note + (source.text[to - 1] === '\n' ? source.newline : '')
}

/** Another name for a key, in the quotes of the old one. */
export function renameKey(source: Source, path: Path, name: string): Edit[] {
  const { key } = found(source, path)
  if (!key?.range) throw new Refusal(`${path.join('.')} is not a key.`)
  if (nameOf(key) === name) return []
  if (source.entry([...path.slice(0, -1), name])) throw new Refusal(`There is a key \`${name}\` already.`)
  const [from, to] = key.range
  const setting = { flow: isInFlow(source, path), block: false, column: 2, newline: source.newline }
  return [{ from, to, insert: written(name, quoting(key), setting) }]
}

/** A new key of a map: after the last of the keys `after` that it has, or at its end. */
export function insertKey(source: Source, map: Path, key: string, value: Value, after: readonly string[] = []): Edit[] {
  source.demand(map)
  if (source.entry([...map, key])) throw new Refusal(`There is a key \`${key}\` already.`)
  const node = source.node(map)
  const style = styleOf(source)
  if (!node && map.length === 0) {
    return [linesAfter(source, source.text.length, entryLines(key, value, 0, style, ''))]
  }
  if (isMap(node) && node.items.length > 0) {
    const entries = source.entries(node)
    const before = entries.findLast((entry) => after.includes(nameOf(entry.key) ?? '')) ?? entries.at(-1)
    if (isFlow(node))
      return [flowInsertion(source, node, (before?.index ?? 0) + 1, flowPair(key, value, source, keyOf(map)))]
    const column = source.column(entries[0]?.from ?? 0)
    return [linesAfter(source, before?.to ?? 0, entryLines(key, value, column, style, keyOf(map)))]
  }
  const inside = (column: number) => entryLines(key, value, column, style, keyOf(map))
  return fill(source, map, `{${flowPair(key, value, source, keyOf(map))}}`, inside, style.step)
}

function flowPair(key: string, value: Value, source: Source, holder: string): string {
  return `${keyText(key, true)}: ${flowText(value, key, styleOf(source), holder)}`
}

/** A new item of a list, before the one at `index`; at the end where there is none. */
export function insertItem(source: Source, list: Path, index: number, value: Value): Edit[] {
  source.demand(list)
  const node = source.node(list)
  const style = styleOf(source)
  const [key, holder] = [keyOf(list), holderOf(list)]
  if (isSeq(node) && node.items.length > 0) {
    return isFlow(node)
      ? [flowInsertion(source, node, Math.min(index, node.items.length), flowText(value, key, style, holder))]
      : [blockItem(source, node, index, value, list)]
  }
  const single = value === null || typeof value !== 'object'
  const wide = single && style.flow(key)
  const inside = (column: number) => itemLines(value, key, column, style, holder)
  return fill(
    source,
    list,
    `[${flowText(value, key, style, holder)}]`,
    wide ? null : inside,
    style.indented ? style.step : 0,
  )
}

function blockItem(source: Source, list: YAMLSeq, index: number, value: Value, path: Path): Edit {
  const [key, holder] = [keyOf(path), holderOf(path)]
  const entries = source.entries(list)
  const style = styleOf(source)
  const column = source.column(entries[0]?.from ?? 0)
  const maps = entries.filter((entry) => isMap(entry.value))
  const flow = maps.length > 0 && maps.every((entry) => isFlow(entry.value))
  const lines = flow
    ? [`${' '.repeat(column)}- ${flowText(value, key, style, holder)}`]
    : itemLines(value, key, column, style, holder)
  const blank = isSpaced(source, entries) ? [''] : []
  const before = entries[Math.min(index, entries.length) - 1]
  if (before) return linesAfter(source, before.to, [...blank, ...lines])
  const first = entries[0]
  if (!first || isCompact(source, first))
    throw new Refusal('The list begins in the line of what it is in; edit it as text.')
  const at = source.lineStart(slot(source, first).from)
  return { from: at, to: at, insert: [...lines, ...blank, ''].join(source.newline) }
}

/** Something in the place of an empty map or list, or of nothing: in lines of its own, or in brackets where it stands in some. */
function fill(
  source: Source,
  path: Path,
  inLine: string,
  lines: ((column: number) => string[]) | null,
  step: number,
): Edit[] {
  const entry = source.entry(path)
  const mark = entry && couldTake(entry.value) ? afterMark(source, entry) : null
  if (!entry || mark === null) throw new Refusal(`${path.join('.') || 'The top'} could not take it.`)
  const old = isEmpty(entry.value) ? { from: mark, to: mark } : { from: entry.value?.range[0] ?? mark, to: entry.to }
  if (!lines || isInFlow(source, path)) return [{ ...old, insert: isEmpty(entry.value) ? ` ${inLine}` : inLine }]
  if (source.hasComment({ from: mark, to: old.to })) {
    throw new Refusal(`There are comments within ${path.join('.')}; edit it as text.`)
  }
  const column = source.column(entry.from) + (entry.key ? step : 2)
  return [{ from: mark, to: old.to, insert: '' }, linesAfter(source, old.to, lines(column))]
}

/** Whether a map or a list can come in its place. */
function couldTake(node: Entry['value']): boolean {
  if (isCollection(node)) return node.items.length === 0 && !node.anchor
  return isScalar(node) && node.value === null && !node.anchor
}

/** Takes a key or an item away, with the comments directly above it. What becomes empty is written as `{}` or `[]`. */
export function removeEntry(source: Source, path: Path): Edit[] {
  source.demand(path.slice(0, -1))
  const entry = source.entry(path)
  if (!entry) throw new Refusal(`There is nothing at ${path.join('.') || 'the top'}.`)
  const flaw = source.flawInside(entry)
  if (flaw) throw new Refusal(flaw)
  if (isFlow(entry.parent)) return flowRemoval(source, entry)
  const next = source.entries(entry.parent)[entry.index + 1]
  if (!next && entry.index === 0) return emptied(source, path, entry)
  if (isCompact(source, entry) && next) return [pullUp(source, entry, next)]
  return [{ ...ownLines(source, entry), insert: '' }]
}

/** The next entry comes into the line of the one that goes. Where comments are between them, its line stays, with nothing in it. */
function pullUp(source: Source, entry: Entry, next: Entry): Edit {
  if (!source.hasComment({ from: source.lineEnd(entry.to), to: next.from }))
    return { from: entry.from, to: next.from, insert: '' }
  const spaces = /[ \t]*$/.exec(source.text.slice(source.lineStart(entry.from), entry.from))?.[0].length ?? 0
  return { from: entry.from - spaces, to: slot(source, entry).to, insert: '' }
}

function emptied(source: Source, path: Path, entry: Entry): Edit[] {
  const parent: YAMLMap | YAMLSeq = entry.parent
  if (path.length === 1) return [{ ...ownLines(source, entry), insert: '' }]
  if (parent.anchor) throw new Refusal('It has an anchor; edit it as text.')
  const nothing = isMap(parent) ? '{}' : '[]'
  if (isCompact(source, entry)) {
    const lines = source.text[entry.to - 1] === '\n' ? source.newline : ''
    return [{ from: entry.from, to: entry.to, insert: nothing + lines }]
  }
  const holder = source.entry(path.slice(0, -1))
  if (!holder) throw new Refusal('The list is the whole file; edit it as text.')
  const mark = afterMark(source, holder)
  return [
    { from: mark, to: mark, insert: ` ${nothing}` },
    { ...ownLines(source, entry), insert: '' },
  ]
}

/** Puts the item at `from` to the place of the one at `to`; those between make room. Comments directly above go with their item. */
export function moveItem(source: Source, list: Path, from: number, to: number): Edit[] {
  source.demand(list)
  const node = source.node(list)
  if (!isSeq(node)) throw new Refusal(`${list.join('.')} is not a list.`)
  const entries = source.entries(node)
  if (!entries[from] || !entries[to]) throw new Refusal(`${list.join('.')} has ${entries.length} items.`)
  const sequence = [...entries]
  sequence.splice(to, 0, ...sequence.splice(from, 1))
  return entries.flatMap((entry, index) => {
    const moved = sequence[index]
    if (!moved || moved === entry) return []
    const flaw = source.flawInside(moved)
    if (flaw) throw new Refusal(flaw)
    const { from: start, to: end } = slot(source, moved)
    return [{ ...slot(source, entry), insert: source.text.slice(start, end) }]
  })
}
