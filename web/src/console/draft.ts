/**
 * One gesture on a text: changes of values, all of them at paths of the text as it is, that become edits together. Before they are handed
 * out, the edited text is read again: where it says anything but what was wanted, the gesture is refused.
 */
import { applied, difference, type Edit, ordered, Refusal } from './edits.ts'
import { at } from './references.ts'
import { reread } from './reread.ts'
import type { ScalarValue } from './scalars.ts'
import { type Path, Source } from './source.ts'
import { insertItem, insertKey, moveItem, removeEntry, renameKey, setScalar } from './structure.ts'
import type { Value } from './style.ts'
import { Expectation, same } from './values.ts'

/** Texts that were read last: the one that a gesture leaves is the one that is shown next. */
const RECENT = 4
const recent: Source[] = []

/** The text with the places of its nodes. Reading the same text again costs nothing, and one that differs little from the last one costs little. */
export function sourceOf(text: string): Source {
  const [last] = recent
  return known(text) ?? keep(last ? reread(last, difference(last.text, text)) : new Source(text))
}

/** The text that the edits lead to. */
function sourceAfter(source: Source, edits: readonly Edit[]): Source {
  return known(applied(source.text, edits)) ?? keep(reread(source, edits))
}

function known(text: string): Source | null {
  const at = recent.findIndex((source) => source.text === text)
  return at < 0 ? null : keep(recent.splice(at, 1)[0] as Source)
}

function keep(source: Source): Source {
  recent.unshift(source)
  recent.splice(RECENT)
  return source
}

export class Draft {
  readonly source: Source
  readonly #edits: Edit[] = []
  readonly #expectation: Expectation

  constructor(source: Source) {
    if (source.readOnly) throw new Refusal(source.readOnly)
    this.source = source
    this.#expectation = new Expectation(source.value)
  }

  /** Another single value. */
  set(path: Path, value: ScalarValue): void {
    this.#edits.push(...setScalar(this.source, path, value))
    this.#expectation.set(path, value)
  }

  /** A new key of a map, after the last of the keys `after` that it has, or at its end. What holds the map has to be there. */
  insertKey(map: Path, key: string, value: Value, after: readonly string[] = []): void {
    this.#edits.push(...insertKey(this.source, map, key, value, after))
    if (this.#isNothing(map)) this.#expectation.set(map, { [key]: value })
    else this.#expectation.set([...map, key], value)
  }

  /** A value at a path, whatever of the path is there: it is set, or its key is made, in maps that are made as well. */
  put(path: Path, value: Value, after: readonly string[] = []): void {
    const single = value === null || typeof value !== 'object'
    if (single && this.source.entry(path)) {
      this.set(path, value)
      return
    }
    let depth = path.length - 1
    while (depth > 0 && !this.source.entry(path.slice(0, depth))) depth--
    const nested = path.slice(depth + 1).reduceRight<Value>((inner, key) => ({ [String(key)]: inner }), value)
    this.insertKey(path.slice(0, depth), String(path[depth]), nested, after)
  }

  /** A new item of a list, before the one at `index`. */
  insertItem(list: Path, index: number, value: Value): void {
    this.#edits.push(...insertItem(this.source, list, index, value))
    if (this.#isNothing(list)) this.#expectation.set(list, [value])
    else this.#expectation.insert(list, Math.min(index, this.length(list)), value)
  }

  /** A new last item of a list, which is made if it is not there. */
  append(list: Path, value: Value, after: readonly string[] = []): void {
    if (this.source.entry(list)) this.insertItem(list, this.length(list), value)
    else this.put(list, [value], after)
  }

  /** Takes a key or an item away, with the comments directly above it. */
  remove(path: Path): void {
    this.#edits.push(...removeEntry(this.source, path))
    this.#expectation.remove(path)
  }

  renameKey(path: Path, name: string): void {
    this.#edits.push(...renameKey(this.source, path, name))
    this.#expectation.rename(path, name)
  }

  /** Puts an item of a list to another place. */
  move(list: Path, from: number, to: number): void {
    this.#edits.push(...moveItem(this.source, list, from, to))
    this.#expectation.move(list, from, to)
  }

  /** Items of the list at this path. */
  length(list: Path): number {
    const value = this.#value(list)
    return Array.isArray(value) ? value.length : 0
  }

  /** The edits of the whole gesture. */
  finish(): Edit[] {
    const { text } = this.source
    const edits = joined(ordered(this.#edits, text.length))
    const result = sourceAfter(this.source, edits)
    if (result.readOnly || !says(result.value, this.#expectation.result())) {
      throw new Refusal('The text around it is written in a way that this gesture would break; edit it as text.')
    }
    return edits
  }

  #isNothing(path: Path): boolean {
    const value = this.#value(path)
    return value === null || value === undefined
  }

  #value(path: Path): unknown {
    return at(this.source.value, ...path)
  }
}

/** A file in which nothing is left says nothing. */
function says(value: unknown, wanted: unknown): boolean {
  const none = (one: unknown) => one === null || (typeof one === 'object' && Object.keys(one).length === 0)
  return same(value, wanted) || (none(value) && none(wanted))
}

/** Insertions at one place become one, in the sequence given. */
function joined(edits: readonly Edit[]): Edit[] {
  const result: Edit[] = []
  for (const edit of edits) {
    const last = result.at(-1)
    if (last && last.to === edit.from && (last.from === last.to || edit.from === edit.to)) {
      result[result.length - 1] = { from: last.from, to: edit.to, insert: last.insert + edit.insert }
    } else {
      result.push(edit)
    }
  }
  return result
}
