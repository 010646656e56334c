/** What a text should say after a gesture, worked out on the values alone: what the edited text says is compared with it. */
import { Refusal } from './edits.ts'
import type { Path } from './source.ts'
import type { Value } from './style.ts'

type Container = unknown[] | Record<string, unknown>
interface Plan {
  set: Map<string | number, unknown>
  removed: Set<string | number>
  renamed: Map<string, string>
  /** By the position that the new ones come before. */
  inserted: Map<number, unknown[]>
  /** The items in another sequence. */
  sequence: number[] | null
}

/** Collects changes, all of them at places of the value as it was, and makes them together. */
export class Expectation {
  #top: unknown
  readonly #plans = new Map<Container, Plan>()
  /** What something is changed in, near or far. All else stays the same value. */
  readonly #around = new Set<unknown>()

  /** `value` itself is not changed. */
  constructor(value: unknown) {
    this.#top = value
  }

  set(path: Path, value: Value): void {
    const last = path.at(-1)
    if (last === undefined) this.#top = value
    else this.#plan(path.slice(0, -1)).set.set(last, value)
  }

  remove(path: Path): void {
    this.#plan(path.slice(0, -1)).removed.add(path.at(-1) ?? '')
  }

  rename(path: Path, name: string): void {
    this.#plan(path.slice(0, -1)).renamed.set(String(path.at(-1)), name)
  }

  insert(list: Path, before: number, value: Value): void {
    const { inserted } = this.#plan(list)
    inserted.set(before, [...(inserted.get(before) ?? []), value])
  }

  move(list: Path, from: number, to: number): void {
    const plan = this.#plan(list)
    const sequence = [...(this.#at(list) as unknown[]).keys()]
    sequence.splice(to, 0, ...sequence.splice(from, 1))
    plan.sequence = sequence
  }

  /** The value with all changes. */
  result(): unknown {
    return this.#changed(this.#top)
  }

  #at(path: Path): unknown {
    let value: unknown = this.#top
    this.#around.add(value)
    for (const step of path) {
      value = (value as Record<string, unknown> | null)?.[step]
      this.#around.add(value)
    }
    return value
  }

  #plan(path: Path): Plan {
    let at = this.#at(path)
    if (path.length === 0 && (at === null || typeof at !== 'object')) {
      at = {}
      this.#top = at
      this.#around.add(at)
    }
    if (at === null || typeof at !== 'object')
      throw new Refusal(`There is neither a map nor a list at ${path.join('.')}.`)
    let plan = this.#plans.get(at as Container)
    if (!plan) {
      plan = { set: new Map(), removed: new Set(), renamed: new Map(), inserted: new Map(), sequence: null }
      this.#plans.set(at as Container, plan)
    }
    return plan
  }

  #changed(value: unknown): unknown {
    if (value === null || typeof value !== 'object' || !this.#around.has(value)) return value
    const plan = this.#plans.get(value as Container)
    return Array.isArray(value) ? this.#list(value, plan) : this.#map(value as Record<string, unknown>, plan)
  }

  #list(list: unknown[], plan: Plan | undefined): unknown[] {
    const result: unknown[] = []
    for (const index of plan?.sequence ?? list.keys()) {
      result.push(...(plan?.inserted.get(index) ?? []))
      if (plan?.removed.has(index)) continue
      result.push(plan?.set.has(index) ? plan.set.get(index) : this.#changed(list[index]))
    }
    return [...result, ...(plan?.inserted.get(list.length) ?? [])]
  }

  #map(map: Record<string, unknown>, plan: Plan | undefined): Record<string, unknown> {
    const entries = Object.entries(map)
      .filter(([key]) => !plan?.removed.has(key) && !plan?.set.has(key))
      .map(([key, value]): [string, unknown] => [plan?.renamed.get(key) ?? key, this.#changed(value)])
    const set = [...(plan?.set ?? [])].map(([key, value]): [string, unknown] => [String(key), value])
    return Object.fromEntries([...entries, ...set])
  }
}

/** Whether two values of YAML say the same; the sequence of keys says nothing. */
export function same(one: unknown, other: unknown): boolean {
  if (one === other || Object.is(one, other)) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const [keys, others] = [Object.keys(one), Object.keys(other)]
  return (
    keys.length === others.length &&
    keys.every((key) => Object.hasOwn(other, key) && same((one as never)[key], (other as never)[key]))
  )
}
