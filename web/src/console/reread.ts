/**
 * A text that differs little from one that was read already. Of a config that is a module, a route or a section: only the parts in which the two
 * differ are read again, and what stands behind them has moved. What comes of it is what reading the whole text comes to; where that is not
 * certain, the whole text is read.
 */
import { type CST, isMap, isPair, isScalar, isSeq, Pair, type ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { applied, type Edit, ordered } from './edits.ts'
import { dashesOf, type Entry, isFlow, nameOf, type Reading, readingOf, Source } from './source.ts'

/** Lines of a text that stand for themselves: an item of a list that a key at the top has, or another such key. */
interface Part {
  from: number
  to: number
  /** Edits before this are not of the part alone. */
  inside: number
  entry: Entry
}

type TopPair = Pair<Scalar, ParsedNode | null>

/** What may stand before the first key. */
const HEAD = /^\uFEFF?(?:[ \t]*(?:#.*)?\r?\n)*$/
/** What ends a document or says something about all of it. */
const BORDER = /^(?:---|\.\.\.|%)|\uFEFF/m

/** The text after `edits` of the one of `source`. */
export function reread(source: Source, edits: readonly Edit[]): Source {
  const text = applied(source.text, edits)
  const reading = partly(source, edits)
  return reading ? new Source(text, reading) : new Source(text)
}

/** What reading the text after the edits comes to, from what is known of the one before; `null` where the whole of it has to be read. */
export function partly(source: Source, edits: readonly Edit[]): Reading | null {
  const { root, text } = source
  if (!source.isSimple || !isMap(root) || isFlow(root)) return null
  const top = source.entries(root)
  if (!HEAD.test(text.slice(0, top[0]?.from ?? 0)) || top.some(({ from }) => source.column(from) > 0)) return null
  // The library has an empty name for it in values.
  if (top.some(({ key }) => isScalar(key) && key.value === null)) return null
  const changed = new Map<Entry, PartReading>()
  const parts = partsOf(source, top)
  for (const [part, own] of byPart(parts, ordered(edits, text.length)) ?? [[null, []] as const]) {
    const read = part && partRead(source, part, own)
    if (!read) return null
    changed.set(part.entry, read)
  }
  return put(source, root, top, changed)
}

/** Part by part what of the edits is in it; `null` if some are in none. */
function byPart(parts: readonly Part[], edits: readonly Edit[]): Map<Part, Edit[]> | null {
  const found = new Map<Part, Edit[]>()
  for (const edit of edits) {
    const part = parts.find(({ inside, to }) => inside <= edit.from && edit.to <= to)
    if (!part) return null
    found.set(part, [...(found.get(part) ?? []), edit])
  }
  return found
}

function partsOf(source: Source, top: readonly Entry[]): Part[] {
  return top.flatMap((entry, index) => {
    const to = top[index + 1]?.from ?? source.text.length
    if (!isLong(entry)) return [{ from: entry.from, to, inside: (entry.key?.range?.[1] ?? entry.to) + 1, entry }]
    const items = source.entries(entry.value)
    return items.map((item, at) => {
      const next = items[at + 1]
      const from = source.lineStart(item.from)
      return { from, to: next ? source.lineStart(next.from) : to, inside: item.from + 2, entry: item }
    })
  })
}

/** Whether the items of what a key at the top has are parts of their own. */
function isLong(entry: Entry): entry is Entry & { value: YAMLSeq & ParsedNode } {
  return isSeq(entry.value) && !isFlow(entry.value) && entry.value.items.length > 0
}

interface PartReading {
  /** The item, or the pair, at its places in the new lines of the part. */
  item: ParsedNode | TopPair
  dash: number
  value: unknown
  from: number
  /** How much longer the lines are now. */
  longer: number
}

function partRead(source: Source, { from, to, entry }: Part, edits: readonly Edit[]): PartReading | null {
  const old = source.text.slice(from, to)
  const text = applied(
    old,
    edits.map((edit) => ({ from: edit.from - from, to: edit.to - from, insert: edit.insert })),
  )
  const isLast = to === source.text.length
  if (BORDER.test(text) || !(isLast || text.endsWith('\n'))) return null
  const own = new Source(text, readingOf(text))
  if (!own.isSimple || (!isMap(own.root) && !isSeq(own.root)) || isFlow(own.root)) return null
  const [read, ...more] = own.entries(own.root)
  const isSame =
    read && more.length === 0 && isMap(own.root) === isMap(entry.parent) && nameOf(read.key) === nameOf(entry.key)
  if (!isSame || own.column(read.from) !== source.column(entry.from) || own.lineStart(read.from) !== 0) return null
  const value = Object.values(own.value as object)[0] as unknown
  const item = own.root.items[0] as ParsedNode | TopPair
  return { item, dash: read.from, value, from, longer: text.length - old.length }
}

function put(source: Source, root: YAMLMap, top: readonly Entry[], changed: ReadonlyMap<Entry, PartReading>): Reading {
  const value = { ...(source.value as Record<string, unknown>) }
  let by = 0
  const pairs = top.map((entry) => {
    const pair = root.items[entry.index] as TopPair
    const read = changed.get(entry)
    if (read) {
      const moved = movedPair(read.item as TopPair, read.from + by)
      by += read.longer
      value[nameOf(entry.key) ?? ''] = read.value
      return moved
    }
    if (!isLong(entry)) return movedPair(pair, by)
    const key = moved(pair.key as ParsedNode, by) as Scalar
    const [list, values, longer] = putItems(
      source,
      entry.value,
      by,
      changed,
      value[nameOf(entry.key) ?? ''] as unknown[],
    )
    value[nameOf(entry.key) ?? ''] = values
    by = longer
    return new Pair(key, list)
  })
  const node = Object.assign(new YAMLMap(), root, { items: pairs, range: stretched(root.range, 0, by) })
  return { root: node as unknown as ParsedNode, problems: [], flaws: new Map(), isSimple: true, readOnly: null, value }
}

/** The list with what has changed in it, its value, and by how much what follows has moved. */
function putItems(
  source: Source,
  list: YAMLSeq & ParsedNode,
  start: number,
  changed: ReadonlyMap<Entry, PartReading>,
  before: unknown[],
): [ParsedNode, unknown[], number] {
  let by = start
  let values = before
  const dashes: number[] = []
  const items = source.entries(list).map((entry) => {
    const read = changed.get(entry)
    if (!read) {
      dashes.push(entry.from + by)
      return moved(list.items[entry.index] as ParsedNode, by)
    }
    values = values.with(entry.index, read.value)
    const item = moved(read.item as ParsedNode, read.from + by)
    dashes.push(read.from + by + read.dash)
    by += read.longer
    return item
  })
  if (by === 0 && start === 0 && values === before) return [list, before, 0]
  const node = Object.assign(new YAMLSeq(), list, {
    items,
    range: stretched(list.range, start, by),
    srcToken: tokenOf(dashes),
  })
  return [node as unknown as ParsedNode, values, by]
}

/** The same node that many characters further on. */
function moved<T extends ParsedNode | null>(node: T, by: number): T {
  if (!node || by === 0) return node
  const range = stretched(node.range, by, by)
  if (isScalar(node)) return Object.assign(new Scalar(node.value), node, { range }) as unknown as T
  if (isMap(node)) {
    const items = node.items.map((pair) => movedPair(pair as TopPair, by))
    return Object.assign(new YAMLMap(), node, { items, range }) as unknown as T
  }
  if (!isSeq(node)) return node
  const items = (node.items as ParsedNode[]).map((item) => (isPair(item) ? item : moved(item, by)))
  if (isFlow(node)) return Object.assign(new YAMLSeq(), node, { items, range }) as unknown as T
  const srcToken = tokenOf(dashesOf(node as YAMLSeq).map((dash) => dash + by))
  return Object.assign(new YAMLSeq(), node, { items, range, srcToken }) as unknown as T
}

function movedPair(pair: TopPair, by: number): TopPair {
  if (by === 0) return pair
  const copy = new Pair(moved(pair.key as ParsedNode, by), moved(pair.value, by)) as TopPair
  if (pair.srcToken) copy.srcToken = pair.srcToken
  return copy
}

function stretched<T extends readonly number[] | null | undefined>(range: T, start: number, end: number): T {
  return (range ? [(range[0] ?? 0) + start, (range[1] ?? 0) + end, (range[2] ?? 0) + end] : range) as T
}

/** Of a list with dashes nothing but their places is asked for. */
function tokenOf(dashes: readonly number[]): CST.BlockSequence {
  const items = dashes.map((offset) => ({
    start: [{ type: 'seq-item-ind' as const, offset, indent: 0, source: '-' }],
  }))
  return { type: 'block-seq', offset: dashes[0] ?? 0, indent: 0, items }
}
