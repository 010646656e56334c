/** What a plan says, as the pages tell it. */
import { stepsOf } from '../pointer.ts'
import type { Changed, Plan } from './config'

/** A part of a config that a text would change, with what is different in it. */
export interface Part {
  name: string
  /** Whether the process takes it without a restart. */
  isLive: boolean
  /** `came` or `went` as a whole, or with other values. */
  how: 'came' | 'went' | 'differs'
  values: readonly Value[]
}

export interface Value {
  /** `config / timeout`; empty for the part as a whole. */
  name: string
  from: string | null
  to: string | null
}

/** So many letters of a value are shown. */
const MOST = 120

export function partsOf({ changes, restart }: Pick<Plan, 'changes' | 'restart'>): Part[] {
  const byName = new Map<string, Changed[]>()
  for (const change of changes) byName.set(change.part, [...(byName.get(change.part) ?? []), change])
  const parts = [...byName].map(([name, own]): Part => {
    const whole = own.find(({ pointer }) => pointer === '')
    const how = whole && isNothing(whole.from) ? 'came' : whole && isNothing(whole.to) ? 'went' : 'differs'
    const values = how === 'differs' ? own.map(valueIn) : []
    return { name, isLive: !restart.includes(name), how, values }
  })
  // A plan may name a part without telling what of it, such as one that a secret is in.
  const untold = restart.filter((name) => !byName.has(name))
  return [...parts, ...untold.map((name): Part => ({ name, isLive: false, how: 'differs', values: [] }))]
}

function valueIn({ pointer, from, to }: Changed): Value {
  return { name: stepsOf(pointer).filter(Boolean).join(' / '), from: shown(from), to: shown(to) }
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined
}

function shown(value: unknown): string | null {
  if (isNothing(value)) return null
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text
}

/** In one sentence, what saving comes to. */
export function verdictOf({ valid, takes, restart, stranded }: Plan): string {
  if (!valid) return 'It cannot run here, so it cannot be saved.'
  const count = stranded.reduce((sum, { instances }) => sum + instances, 0)
  if (count > 0)
    return `${count} unfinished ${count === 1 ? 'instance' : 'instances'} would be stranded, so it cannot be saved.`
  if (takes === 'nothing') return 'Nothing that the process does changes.'
  if (takes === 'live') return 'The process takes it at once. Requests that are under way end on what they began with.'
  return `It takes a restart of the process, for ${listed(restart)}. Until then the process runs on as it is.`
}

function listed(parts: readonly string[]): string {
  const few = parts.slice(0, 3)
  const rest = parts.length - few.length
  return rest > 0 ? `${few.join(', ')} and ${rest} more` : few.join(', ')
}
