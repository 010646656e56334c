/** The house style of a file, and new parts written in it. */
import { isCollection, isMap, isPair, isScalar, isSeq, type Scalar, type YAMLSeq } from 'yaml'
import { isPlain, type Quoting, quoting, type ScalarValue, type Setting, written } from './scalars.ts'
import { isFlow, nameOf, type Source } from './source.ts'

/** What can be written: the values of JSON. */
export type Value = ScalarValue | Value[] | { [key: string]: Value }

/** How this file is written, as far as it shows. */
export interface Style {
  /** Columns by which what is inside stands further right. */
  step: number
  /** Whether the dashes of a list stand further right than its key. */
  indented: boolean
  newline: string
  /** How text is quoted that is the value of this key, or in the list that is; of the key in what `holder` has, if there is any. */
  quoting: (key: string, holder?: string) => Quoting
  /** Whether lists of single values are in brackets where they are the value of this key. */
  flow: (key: string) => boolean
}

/** Lines are no longer than that if a list can be written otherwise. */
const MAX_WIDTH = 140
const styles = new WeakMap<Source, Style>()

/** The style of a file. Where it does not show, the one of the configs that come with the program. */
export function styleOf(source: Source): Style {
  let style = styles.get(source)
  if (!style) {
    style = survey(source)
    styles.set(source, style)
  }
  return style
}

/** Counts votes, and says which had most. */
class Votes<T> {
  readonly #votes = new Map<T, number>()
  add(vote: T): void {
    this.#votes.set(vote, (this.#votes.get(vote) ?? 0) + 1)
  }
  most(otherwise: T): T {
    let best: [T, number] = [otherwise, 0]
    for (const [vote, count] of this.#votes) if (count > best[1]) best = [vote, count]
    return best[0]
  }
}

class Surveyor {
  readonly steps = new Votes<number>()
  readonly indented = new Votes<boolean>()
  readonly flow = new Votes<boolean>()
  readonly flowOf = new Map<string, Votes<boolean>>()
  readonly quotingOf = new Map<string, Votes<Quoting>>()
  readonly source: Source

  constructor(source: Source) {
    this.source = source
    this.visit(source.root, '', '')
  }

  /** `key`: whose value it is, or is in; `holder`: whose value that key is in. */
  visit(node: unknown, key: string, holder: string): void {
    if (isScalar(node)) this.#text(node, key, holder)
    if (isSeq(node)) this.#list(node, key, holder)
    if (!isMap(node)) return
    for (const pair of node.items) {
      if (!isFlow(node)) this.#place(pair.key, pair.value)
      this.visit(pair.value, nameOf(pair.key) ?? '', key)
    }
  }

  #text(node: Scalar, key: string, holder: string): void {
    if (typeof node.value !== 'string' || !isPlain(node.value, true)) return
    vote(this.quotingOf, key, quoting(node))
    vote(this.quotingOf, `${holder}/${key}`, quoting(node))
  }

  #list(list: YAMLSeq, key: string, holder: string): void {
    if (list.items.length > 0 && list.items.every((item) => isScalar(item))) {
      this.flow.add(isFlow(list))
      vote(this.flowOf, key, isFlow(list))
    }
    for (const item of list.items) if (!isPair(item)) this.visit(item, key, holder)
  }

  /** Where what is inside begins, from where its key does. */
  #place(key: unknown, value: unknown): void {
    if (!isScalar(key) || !isCollection(value) || isFlow(value) || !key.range || !value.range) return
    const further = this.source.column(value.range[0]) - this.source.column(key.range[0])
    if (isSeq(value)) this.indented.add(further > 0)
    if (further > 0) this.steps.add(further)
  }
}

function vote<T>(all: Map<string, Votes<T>>, key: string, what: T): void {
  let votes = all.get(key)
  if (!votes) {
    votes = new Votes()
    all.set(key, votes)
  }
  votes.add(what)
}

function survey(source: Source): Style {
  const found = new Surveyor(source)
  const flow = found.flow.most(true)
  return {
    step: found.steps.most(2),
    indented: found.indented.most(true),
    newline: source.newline,
    quoting: (key, holder = '') =>
      (found.quotingOf.get(`${holder}/${key}`) ?? found.quotingOf.get(key))?.most('plain') ?? 'plain',
    flow: (key) => found.flowOf.get(key)?.most(flow) ?? flow,
  }
}

/** The lines of a map that is the value of `holder`, without line breaks, each with its indentation. */
function mapLines(map: { [key: string]: Value }, column: number, style: Style, holder: string): string[] {
  return Object.entries(map).flatMap(([key, value]) => entryLines(key, value, column, style, holder))
}

/** The lines of one key with its value, in what `holder` has. */
export function entryLines(key: string, value: Value, column: number, style: Style, holder: string): string[] {
  const head = `${' '.repeat(column)}${keyText(key, false)}:`
  if (Array.isArray(value)) {
    const inOne = `${head} ${flowText(value, key, style, holder)}`
    if (value.length === 0 || (value.every(isSingle) && style.flow(key) && inOne.length <= MAX_WIDTH)) return [inOne]
    const inside = column + (style.indented ? style.step : 0)
    return [head, ...value.flatMap((item) => itemLines(item, key, inside, style, holder))]
  }
  if (isSingle(value)) {
    const setting = { ...BLOCK, column: column + style.step, newline: style.newline }
    return lines(`${head} ${written(value, style.quoting(key, holder), setting)}`, style)
  }
  return Object.keys(value).length === 0 ? [`${head} {}`] : [head, ...mapLines(value, column + style.step, style, key)]
}

/** The lines of one item of the list that is the value of `key` in what `holder` has. The dash is at `column`. */
export function itemLines(value: Value, key: string, column: number, style: Style, holder: string): string[] {
  const dash = `${' '.repeat(column)}- `
  if (isSingle(value)) {
    const setting = { ...BLOCK, column: column + 2, newline: style.newline }
    return lines(dash + written(value, style.quoting(key, holder), setting), style)
  }
  if (Array.isArray(value) || Object.keys(value).length === 0) return [dash + flowText(value, key, style, holder)]
  const [first = '', ...rest] = mapLines(value, column + 2, style, key)
  return [dash + first.slice(column + 2), ...rest]
}

/** A value in one line, with brackets and braces where it has parts. */
export function flowText(value: Value, key: string, style: Style, holder: string): string {
  if (Array.isArray(value)) return `[${value.map((item) => flowText(item, key, style, holder)).join(', ')}]`
  if (isSingle(value)) return written(value, style.quoting(key, holder), IN_LINE)
  const parts = Object.entries(value).map(
    ([name, part]) => `${keyText(name, true)}: ${flowText(part, name, style, key)}`,
  )
  return `{${parts.join(', ')}}`
}

/** A key as it is written. */
export function keyText(key: string, flow: boolean): string {
  return written(key, 'plain', { flow, block: false, column: 2, newline: '\n' })
}

const IN_LINE: Setting = { flow: true, block: false, column: 2, newline: '\n' }
const BLOCK = { flow: false, block: true }

function isSingle(value: Value): value is ScalarValue {
  return value === null || typeof value !== 'object'
}

/** A text block is several lines. */
function lines(text: string, { newline }: Style): string[] {
  return (text.endsWith(newline) ? text.slice(0, -newline.length) : text).split(newline)
}
