/** Whatever is done to whatever text: what comes out says exactly what was wanted, and everything else of it is as it was. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CST, Parser, parseDocument } from 'yaml'
import { decoded, encoded, TextBuffer } from './buffer.ts'
import { Draft, sourceOf } from './draft.ts'
import { applied, type Edit, Refusal } from './edits.ts'
import { ownLines } from './layout.ts'
import { isFlow, type Path, type Range, type Source } from './source.ts'
import {
  type Dice,
  dice,
  generated,
  RUNS,
  repositoryFiles,
  seeds,
  someSingle,
  someValue,
  variants,
} from './testing/corpus.ts'

const FILES = repositoryFiles().flatMap(([name, text]) =>
  variants(text).map(([how, variant]): [string, string] => [`${name} ${how}`, variant]),
)

/** Every comment of a text, by the reader's own tokens. */
function commentsOf(text: string): { offset: number; source: string }[] {
  const found: { offset: number; source: string }[] = []
  const look = (value: object): void => {
    const { type, offset, source } = value as { type?: string; offset: number; source: string }
    if (type === 'comment') found.push({ offset, source: source.trimEnd() })
    for (const inner of Object.values(value)) if (inner && typeof inner === 'object') look(inner)
  }
  look([...new Parser().parse(text)])
  return found
}

/** What a text says, read by the library alone. */
function meaning(text: string): unknown {
  const document = parseDocument(text, { merge: true, logLevel: 'error' })
  if (document.errors.length > 0) throw document.errors[0]
  return document.toJS()
}

type Json = null | string | number | boolean | Json[] | { [key: string]: Json }

/** All places of a value, with what is there. */
function places(value: unknown, path: Path = []): [Path, unknown][] {
  if (value === null || typeof value !== 'object') return [[path, value]]
  const inside = Object.entries(value).flatMap(([key, part]) =>
    places(part, [...path, Array.isArray(value) ? Number(key) : key]),
  )
  return [[path, value], ...inside]
}

/** Milliseconds that a long run may take. */
const TIME = 30_000 + RUNS * 200

/** What one gesture did: in words, its edits, the value that it should lead to, and the lines that it may touch. */
interface Done {
  what: string
  edits: Edit[]
  wanted: unknown
  touched: Range[]
  removed: Range[]
}

function at(value: unknown, path: Path): never {
  return path.reduce<unknown>((inner, step) => (inner as Record<string, unknown>)[step], value) as never
}

type Gesture = (
  source: Source,
  roll: Dice,
  all: [Path, unknown][],
  wanted: { top: Json },
) => Omit<Done, 'wanted'> | null

const own = (source: Source, path: Path): Range[] => {
  if (path.length === 0) return [{ from: 0, to: source.text.length }]
  const entry = source.entry(path)
  return entry ? [{ from: source.lineStart(entry.from), to: source.lineEnd(entry.to) }] : []
}

const GESTURES: Gesture[] = [
  function set(source, roll, all, wanted) {
    const leaves = all.filter(([path, value]) => path.length > 0 && (value === null || typeof value !== 'object'))
    const path = leaves[roll(leaves.length || 1)]?.[0]
    if (!path) return null
    const value = someSingle(roll)
    const draft = new Draft(source)
    draft.set(path, value)
    const parent: Record<string, Json> = at(wanted.top, path.slice(0, -1))
    parent[path.at(-1) ?? ''] = value
    return {
      what: `set ${path.join('.')} = ${JSON.stringify(value)}`,
      edits: draft.finish(),
      touched: own(source, path),
      removed: [],
    }
  },
  function insertKey(source, roll, all, wanted) {
    const maps = all.filter(([, value]) => value !== null && typeof value === 'object' && !Array.isArray(value))
    const path = maps[roll(maps.length || 1)]?.[0]
    if (!path) return null
    const value: Json = someValue(roll)
    const name = `new key ${roll(1e6)}`
    const keys = Object.keys(at(wanted.top, path))
    const draft = new Draft(source)
    draft.insertKey(path, name, value, roll(2) === 0 ? keys.slice(0, 1) : [])
    const map: Record<string, Json> = at(wanted.top, path)
    map[name] = value
    const touched = keys.length === 0 ? own(source, path) : []
    return { what: `insert ${path.join('.')}: ${JSON.stringify(value)}`, edits: draft.finish(), touched, removed: [] }
  },
  function rename(source, roll, all, wanted) {
    const keys = all.filter(([path]) => typeof path.at(-1) === 'string')
    const path = keys[roll(keys.length || 1)]?.[0]
    if (!path) return null
    const name = `${['new', 'a: b', '1', '#'][roll(4)]}${roll(1e6)}`
    const draft = new Draft(source)
    draft.renameKey(path, name)
    const map: Record<string, Json> = at(wanted.top, path.slice(0, -1))
    const key = String(path.at(-1))
    const value = map[key] as Json
    delete map[key]
    map[name] = value
    return {
      what: `rename ${path.join('.')} to ${name}`,
      edits: draft.finish(),
      touched: own(source, path),
      removed: [],
    }
  },
  function remove(source, roll, all, wanted) {
    const path = all[roll(all.length)]?.[0]
    if (!path || path.length === 0) return null
    const entry = source.entry(path)
    const draft = new Draft(source)
    draft.remove(path)
    const parent: Json[] & Record<string, Json> = at(wanted.top, path.slice(0, -1))
    const last = path.at(-1)
    if (typeof last === 'number') parent.splice(last, 1)
    else delete parent[String(last)]
    const lines = entry ? [ownLines(source, entry)] : []
    const removed = entry && isFlow(entry.parent) ? [] : lines
    const next = entry && source.entries(entry.parent)[1]
    const pulled = next ? [{ from: source.lineStart(entry.from), to: source.lineEnd(next.from) }] : []
    return {
      what: `remove ${path.join('.')}`,
      edits: draft.finish(),
      touched: [...lines, ...pulled, ...own(source, path.slice(0, -1)).map(firstLine(source))],
      removed,
    }
  },
  function insertItem(source, roll, all, wanted) {
    const lists = all.filter(([, value]) => Array.isArray(value))
    const path = lists[roll(lists.length || 1)]?.[0]
    if (!path) return null
    const value: Json = someValue(roll)
    const list: Json[] = at(wanted.top, path)
    const index = roll(list.length + 1)
    const touched = list.length === 0 ? own(source, path) : []
    const draft = new Draft(source)
    draft.insertItem(path, index, value)
    list.splice(index, 0, value)
    return {
      what: `item ${path.join('.')} ${index}: ${JSON.stringify(value)}`,
      edits: draft.finish(),
      touched,
      removed: [],
    }
  },
  function move(source, roll, all, wanted) {
    const lists = all.filter(([, value]) => Array.isArray(value) && value.length > 1)
    const path = lists[roll(lists.length || 1)]?.[0]
    if (!path) return null
    const list: Json[] = at(wanted.top, path)
    const [from, to] = [roll(list.length), roll(list.length)]
    const draft = new Draft(source)
    draft.move(path, from, to)
    list.splice(to, 0, ...list.splice(from, 1))
    return {
      what: `move ${path.join('.')} ${from} to ${to}`,
      edits: draft.finish(),
      touched: own(source, path),
      removed: [],
    }
  },
]

const firstLine = (source: Source) => (range: Range) => ({ from: range.from, to: source.lineEnd(range.from) })

function random(text: string, roll: Dice): Done | null {
  const source = sourceOf(text)
  const top = structuredClone(source.value) as Json
  const wanted = { top }
  const gesture = GESTURES[roll(GESTURES.length)]
  const done = gesture?.(source, roll, places(source.value), wanted)
  return done ? { ...done, wanted: wanted.top } : null
}

/** Whether every edit is within the lines that the gesture is about, or puts something between two lines. */
function kept(edits: Edit[], touched: Range[]): boolean {
  return edits.every(({ from, to }) => from === to || touched.some((range) => range.from <= from && to <= range.to))
}

/** A file in which nothing is left says nothing. */
function orNothing(value: unknown): unknown {
  return value !== null && typeof value === 'object' && Object.keys(value).length === 0 ? null : value
}

/** What is in one list and not in the other, each as often as it is. */
function without(one: readonly string[], other: readonly string[]): string[] {
  const rest = [...other]
  return one.filter((text) => {
    const at = rest.indexOf(text)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

function check(text: string, done: Done): string {
  const after = applied(text, done.edits)
  const told = `${done.what}\n--- before\n${text}\n--- after\n${after}`
  expect(orNothing(meaning(after)), told).toEqual(orNothing(done.wanted))
  const inside = (offset: number) => done.removed.some(({ from, to }) => offset >= from && offset < to)
  const before = commentsOf(text)
  const left = commentsOf(after).map(({ source }) => source)
  const must = before.filter(({ offset }) => !inside(offset)).map(({ source }) => source)
  expect(without(must, left), `comments that are lost: ${told}`).toEqual([])
  expect(
    without(
      left,
      before.map(({ source }) => source),
    ),
    `comments that nobody wrote: ${told}`,
  ).toEqual([])
  expect(kept(done.edits, done.touched), `a line elsewhere changed: ${told}`).toBe(true)
  return after
}

/** Makes some gestures one after the other. Returns how many were made and how many were refused. */
function session(text: string, seed: number, count: number): { made: number; refused: number } {
  const roll = dice(seed)
  const buffer = new TextBuffer(text, () => 0)
  let refused = 0
  const texts = [text]
  for (let step = 0; step < count; step++) {
    try {
      const done = random(buffer.text, roll)
      if (!done) continue
      const after = check(buffer.text, done)
      const steps = buffer.text !== after
      buffer.apply(done.edits, done.what)
      expect(buffer.text).toBe(after)
      if (steps) texts.push(after)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (!EDITED_AS_TEXT.test(error.message)) refused++
    }
  }
  for (const before of texts.toReversed().slice(1)) {
    expect(buffer.undo()).toBe(true)
    expect(buffer.text).toBe(before)
  }
  expect([buffer.text, buffer.dirty, buffer.undo()]).toEqual([text, false, false])
  for (const next of texts.slice(1)) {
    expect(buffer.redo()).toBe(true)
    expect(buffer.text).toBe(next)
  }
  return { made: texts.length - 1, refused }
}

function unchanged(text: string, name: string): void {
  const buffer = new TextBuffer(decoded(encoded(text)), () => 0)
  sourceOf(buffer.text)
  expect(buffer.dirty, name).toBe(false)
  expect(encoded(buffer.text), name).toEqual(encoded(text))
  // The positions that gestures rely on cover the text without a gap.
  expect([...new Parser().parse(text)].map((token) => CST.stringify(token)).join(''), name).toBe(text)
}

describe('a file that is opened and written again has the same bytes', () => {
  it(
    'every file of this repository, with CRLF and a byte order mark as well',
    () => {
      expect(FILES.length).toBeGreaterThan(100)
      for (const [name, text] of FILES) unchanged(text, name)
    },
    TIME,
  )

  it(
    `${RUNS} generated ones`,
    () => {
      fc.assert(
        fc.property(seeds, (seed) => unchanged(generated(seed), `seed ${seed}`)),
        { numRuns: RUNS },
      )
    },
    TIME,
  )
})

/** What a gesture may always be refused for: the text says it in a way that only text can be edited in. */
const EDITED_AS_TEXT = /stand[s]? for|by the anchor|has an anchor|by `<<`|There are comments/

describe('a random gesture means exactly what it should, keeps comments and other lines, and is undone and redone', () => {
  /** Gestures on each text, one after the other. */
  const EACH = 4
  const tried = (runs: number, text: (seed: number) => string) => {
    const count = { made: 0, refused: 0 }
    fc.assert(
      fc.property(seeds, (seed) => {
        const chosen = text(seed)
        if (sourceOf(chosen).readOnly) return
        const { made, refused } = session(chosen, seed, EACH)
        count.made += made
        count.refused += refused
      }),
      { numRuns: runs },
    )
    expect(count.made).toBeGreaterThan(runs)
    // A few texts are such that nothing can be taken out of them without changing what is beside it.
    expect(count.refused / count.made, `${count.refused} refused, ${count.made} made`).toBeLessThan(0.02)
  }

  it('in the files of this repository', () => tried(RUNS / 5, (seed) => FILES[seed % FILES.length]?.[1] ?? ''), TIME)

  it('in generated texts', () => tried(RUNS, (seed) => generated(seed)), TIME)
})
