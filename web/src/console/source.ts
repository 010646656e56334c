/**
 * A YAML text with the place of every node in it. It is read for its positions and its values, and never printed: what is written back
 * is the text itself with a few edits.
 */
import {
  type CST,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  type Pair,
  type ParsedNode,
  parseDocument,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { Refusal } from './edits.ts'

/** Keys and positions that lead from the top of a file to a node. */
export type Path = readonly (string | number)[]
/** A part of a text. */
export interface Range {
  from: number
  to: number
}
/** Something that is wrong with the text itself, whatever it means. */
export interface Problem extends Range {
  message: string
}
/** One key with its value, or one item of a list. */
export interface Entry extends Range {
  parent: YAMLMap | YAMLSeq
  index: number
  /** Of an entry of a map. */
  key: Scalar | null
  /** `null` where nothing is written, as in `{a, b}`. */
  value: ParsedNode | null
}

/** How often aliases may repeat what they stand for before the text counts as an attack. */
const MAX_ALIASES = 100
const BYTE_ORDER_MARK = '\uFEFF'
const SCALAR_FOLLOWS = '\u001F'
const MARKERS = new Set(['\u0002', '\u0018', SCALAR_FOLLOWS])

/** What the reader makes of a text. */
export interface Reading {
  root: ParsedNode | null
  problems: Problem[]
  flaws: Map<object, string>
  /** Whether nothing in it stands for anything elsewhere, and nothing is wrong: then its parts mean the same wherever they stand. */
  isSimple: boolean
  readOnly: string | null
  value: unknown
}

export class Source {
  readonly text: string
  /** What ends a line of this file. */
  readonly newline: '\n' | '\r\n'
  /** The top of the file; `null` where nothing is written. */
  readonly root: ParsedNode | null
  readonly problems: Problem[]
  /** Why no gesture can change this text, in one sentence, or `null`. */
  readonly readOnly: string | null
  /** What the file says, with aliases and merge keys followed; `null` where it cannot be read. */
  readonly value: unknown
  /** See {@link Reading.isSimple}. */
  readonly isSimple: boolean
  readonly #entries = new WeakMap<object, Entry[]>()
  readonly #flaws: Map<object, string>
  #comments: Range[] | null = null

  /** `reading`: what reading the text comes to, where that is known. */
  constructor(text: string, reading: Reading = readingOf(text)) {
    this.text = text
    this.newline = text.includes('\r\n') ? '\r\n' : '\n'
    this.root = reading.root
    this.problems = reading.problems
    this.#flaws = reading.flaws
    this.isSimple = reading.isSimple
    this.readOnly = reading.readOnly
    this.value = reading.value
  }

  /** Where the line begins that `at` is in, without the byte order mark of the file. */
  lineStart(at: number): number {
    const start = this.text.lastIndexOf('\n', at - 1) + 1
    return start === 0 && this.text.startsWith(BYTE_ORDER_MARK) ? Math.min(1, at) : start
  }

  /** After the line break of the line that content ends in; of a text block, which ends with its line break, right there. */
  lineEnd(end: number): number {
    if (end > 0 && this.text[end - 1] === '\n') return end
    const found = this.text.indexOf('\n', end)
    return found < 0 ? this.text.length : found + 1
  }

  /** Characters before `at` in its line. */
  column(at: number): number {
    return at - this.lineStart(at)
  }

  /** Line and column of a position, both from 1. */
  position(at: number): { line: number; column: number } {
    return { line: lineOf(this.text, at), column: this.column(at) + 1 }
  }

  /** Every comment, from its `#` to the end of its line. */
  get comments(): readonly Range[] {
    this.#comments ??= comments(this.text)
    return this.#comments
  }

  /** Whether a comment begins in this range. */
  hasComment({ from, to }: Range): boolean {
    return this.comments.some((comment) => comment.from >= from && comment.from < to)
  }

  /** What a collection consists of, in the sequence written. */
  entries(parent: YAMLMap | YAMLSeq): Entry[] {
    let entries = this.#entries.get(parent)
    if (!entries) {
      entries = isMap(parent) ? pairs(this.text, parent) : items(this.text, parent as YAMLSeq<ParsedNode>)
      this.#entries.set(parent, entries)
    }
    return entries
  }

  /** The entry at the end of the path, or `null`. Aliases are not followed: what is found is written there. */
  entry(path: Path): Entry | null {
    let node: ParsedNode | null = this.root
    let found: Entry | null = null
    for (const step of path) {
      if (!isMap(node) && !isSeq(node)) return null
      const entries = this.entries(node)
      found = (isSeq(node) ? entries[Number(step)] : entries.find(({ key }) => nameOf(key) === String(step))) ?? null
      if (!found) return null
      node = found.value
    }
    return found
  }

  /** The node at the end of the path, or `null`. */
  node(path: Path): ParsedNode | null {
    return path.length === 0 ? this.root : (this.entry(path)?.value ?? null)
  }

  /** Why what is at this path, or would be, cannot be changed by a gesture; one sentence, or `null`. */
  flaw(path: Path): string | null {
    if (this.readOnly) return this.readOnly
    let node: ParsedNode | null = this.root
    for (let depth = 0; ; depth++) {
      const flaw = node && this.#flaws.get(node)
      if (flaw) return flaw
      if (depth === path.length || !node) return null
      node = this.node(path.slice(0, depth + 1))
    }
  }

  /** Why what is inside of an entry cannot be taken away; one sentence, or `null`. */
  flawInside(entry: Entry): string | null {
    const anchored = (node: unknown): string | null => {
      if (isPair(node)) return anchored(node.key) ?? anchored(node.value)
      const own = isCollection(node) || isScalar(node) ? this.#flaws.get(node) : undefined
      if (own?.startsWith(REPEATED)) return own
      if (!isCollection(node)) return null
      for (const item of node.items) {
        const found = anchored(item)
        if (found) return found
      }
      return null
    }
    return anchored(entry.value)
  }

  /** Refuses a gesture that would change what is at this path. */
  demand(path: Path): void {
    const flaw = this.flaw(path)
    if (flaw) throw new Refusal(flaw)
  }
}

/** The text of a key; `null` of one that is none. */
export function nameOf(key: unknown): string | null {
  return isScalar(key) && typeof key.value !== 'symbol' ? String(key.value) : null
}

/** Whether a collection is written with brackets or braces. */
export function isFlow(node: unknown): boolean {
  return isCollection(node) && (node.srcToken as CST.Token | undefined)?.type === 'flow-collection'
}

/** After the last byte of what a node says: comments and blank lines that follow it are not in it. */
function contentEnd(text: string, node: ParsedNode): number {
  if (!isCollection(node) || isFlow(node)) return node.range[1]
  if (isSeq(node)) return items(text, node as YAMLSeq<ParsedNode>).at(-1)?.to ?? node.range[1]
  const last = node.items.at(-1) as Pair<Scalar, ParsedNode | null> | undefined
  return last ? pairEnd(text, last) : node.range[1]
}

/** Whether nothing is written where a value could be. */
export function isEmpty(node: ParsedNode | null): boolean {
  return isScalar(node) && node.range[0] === node.range[1]
}

/** The reader puts an empty value anywhere between what is before and after it; here it is at the colon. */
function pairEnd(text: string, { key, value }: Pair<Scalar, ParsedNode | null>): number {
  const end = key.range?.[1] ?? 0
  if (!value) return end
  return isEmpty(value) ? text.indexOf(':', end) + 1 : contentEnd(text, value)
}

function pairs(text: string, map: YAMLMap): Entry[] {
  return (map.items as Pair<Scalar, ParsedNode | null>[]).map((pair, index) => ({
    parent: map,
    index,
    key: pair.key,
    value: pair.value,
    from: pair.key.range?.[0] ?? 0,
    to: pairEnd(text, pair),
  }))
}

/** Where the dashes of a list are. */
export function dashesOf(list: YAMLSeq): number[] {
  return ((list.srcToken as CST.BlockSequence).items ?? []).flatMap(({ start }) =>
    start.filter(({ type }) => type === 'seq-item-ind').map(({ offset }) => offset),
  )
}

function items(text: string, list: YAMLSeq<ParsedNode>): Entry[] {
  const dashes = dashesOf(list)
  return list.items.map((value, index) => {
    const node = isPair(value) ? ((value as Pair<ParsedNode>).key as ParsedNode) : value
    const from = isFlow(list) ? node.range[0] : (dashes[index] ?? node.range[0])
    return { parent: list, index, key: null, value: node, from, to: isEmpty(node) ? from + 1 : contentEnd(text, node) }
  })
}

/** Whether anything is: an empty file has an empty scalar. */
function written(node: ParsedNode): boolean {
  return !isScalar(node) || node.range[1] > node.range[0]
}

function lineOf(text: string, at: number): number {
  let line = 1
  for (let found = text.indexOf('\n'); found >= 0 && found < at; found = text.indexOf('\n', found + 1)) line++
  return line
}

/** Reads a whole text. */
export function readingOf(text: string): Reading {
  const document = parseDocument(text, {
    keepSourceTokens: true,
    uniqueKeys: false,
    merge: true,
    prettyErrors: false,
    logLevel: 'error',
  })
  const problems = document.errors.map(({ message, pos: [from, to] }) => ({ message, from, to }))
  const root = document.contents && written(document.contents) ? document.contents : null
  const { found, anchors, repeated } = flaws(root)
  const [readOnly, value] = read(document, text, repeated)
  const isSimple = problems.length === 0 && readOnly === null && found.size === 0 && anchors === 0
  return { root, problems, flaws: found, isSimple, readOnly, value }
}

/** Why the text is read-only, and its value. `repeats`: whether it has aliases. */
function read(document: Document.Parsed, text: string, repeats: boolean): [string | null, unknown] {
  const [error] = document.errors
  if (error?.code === 'MULTIPLE_DOCS') {
    return ['The file holds several documents, of which a config is one; edit it as text.', null]
  }
  const readOnly = error
    ? `Line ${lineOf(text, error.pos[0])} cannot be read as YAML; correct it as text: ${error.message}`
    : null
  const endless = 'Its aliases repeat each other without end, or stand for nothing; edit it as text.'
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES })
    return repeats && hasCircle(value, new Set()) ? [endless, null] : [readOnly, value]
  } catch {
    // The reader counts what aliases stand for and stops; it also stops at an alias of nothing.
    return [readOnly ?? endless, null]
  }
}

/** Whether a value is in itself, which an alias within its own anchor makes it. */
function hasCircle(value: unknown, around: Set<unknown>): boolean {
  if (value === null || typeof value !== 'object') return false
  if (around.has(value)) return true
  around.add(value)
  const found = Object.values(value).some((part) => hasCircle(part, around))
  around.delete(value)
  return found
}

const REPEATED = 'Other places repeat this by the anchor'

/** What a gesture cannot change, with the reason: the node and what is in it. */
function flaws(root: ParsedNode | null): { found: Map<object, string>; anchors: number; repeated: boolean } {
  const found = new Map<object, string>()
  const names = new Set<string>()
  const anchored: [object, string][] = []
  const note = (node: ParsedNode): void => {
    const flaw = isScalar(node) ? flawOfTag(node) : flawOf(node)
    if (flaw) found.set(node, flaw)
    if (isAlias(node)) names.add(node.source)
    else if (node.anchor) anchored.push([node, node.anchor])
  }
  const visit = (node: ParsedNode | null): void => {
    if (!node) return
    note(node)
    if (!isCollection(node)) return
    for (const item of node.items) visit((isPair(item) ? item.value : item) as ParsedNode | null)
  }
  visit(root)
  for (const [node, name] of anchored) {
    if (names.has(name)) found.set(node, `${REPEATED} \`&${name}\`; edit it as text.`)
  }
  return { found, anchors: anchored.length, repeated: names.size > 0 }
}

function flawOf(node: unknown): string | null {
  if (isMap(node)) return flawOfTag(node) ?? flawOfKeys(node)
  if (isSeq(node)) return flawOfTag(node) ?? flawOfItems(node)
  return isAlias(node) ? `It repeats what \`&${node.source}\` stands for; edit it as text.` : null
}

function flawOfTag({ tag }: { tag?: string | undefined }): string | null {
  return tag ? `It has the tag \`${tag}\`; edit it as text.` : null
}

/** What a key begins with that is more than a key. */
const ADORNED = new Set<string>(['explicit-key-ind', 'anchor', 'tag'])

function flawOfKeys(map: YAMLMap): string | null {
  const seen = new Set<string>()
  for (const { key, srcToken } of map.items) {
    const name = nameOf(key)
    if (name === null) {
      const merged = isScalar(key) && typeof key.value === 'symbol'
      return merged
        ? 'It takes keys from elsewhere by `<<`; edit it as text.'
        : 'A key of it is not text; edit it as text.'
    }
    if (seen.has(name)) return `It has the key \`${name}\` twice; edit it as text.`
    for (const { type } of (srcToken as CST.CollectionItem | undefined)?.start ?? []) {
      if (ADORNED.has(type)) return `The key \`${name}\` is written with \`?\`, an anchor or a tag; edit it as text.`
    }
    seen.add(name)
  }
  return null
}

function flawOfItems(list: YAMLSeq): string | null {
  const bare = list.items.some((item) => isPair(item) || (isMap(item) && !item.srcToken))
  return bare ? 'An item of it is a key and a value without braces; edit it as text.' : null
}

function comments(text: string): Range[] {
  const found: Range[] = []
  let at = 0
  let scalar = false
  for (const lexeme of new Lexer().lex(text)) {
    if (MARKERS.has(lexeme)) {
      scalar = lexeme === SCALAR_FOLLOWS
      continue
    }
    if (!scalar && lexeme.startsWith('#')) found.push({ from: at, to: at + lexeme.length })
    scalar = false
    at += lexeme.length
  }
  return found
}
