/**
 * Where the boxes of modules lie when nobody has put them anywhere. The same config is always drawn the same way.
 *
 * Boxes are in rows along the edges, and in their row near to what they are joined with. This takes some milliseconds for 500 modules; a library for
 * layered graphs takes most of a minute, since it bends each edge around every row that it crosses, and here all edges are drawn straight.
 */

export interface Place {
  x: number
  y: number
}
export type Places = Readonly<Record<string, Place>>

/** Size of a box, in pixels of the drawing. */
export const BOX = { width: 224, height: 76 } as const
const GAP = { x: 32, y: 56, rows: 28 } as const
/** Boxes beside each other; more of one rank go below. */
const ABREAST = 7

export interface Graph {
  names: readonly string[]
  edges: readonly { from: string; to: string }[]
}

/** Places of all boxes, from the top down along the edges. */
export function placed({ names, edges }: Graph): Places {
  const known = new Set(names)
  const fitting = edges.filter(({ from, to }) => from !== to && known.has(from) && known.has(to))
  const joined = new Set(fitting.flatMap(({ from, to }) => [from, to]))
  const rows = [...ranked([...joined], names, fitting), names.filter((name) => !joined.has(name))]
  return inRows(rows)
}

/** Times that every row is put in a better sequence. */
const SWEEPS = 8

/** The ranks of what is joined, each from left to right. */
function ranked(joined: readonly string[], names: readonly string[], edges: Graph['edges']): string[][] {
  const inside = new Set(joined)
  const [below, around] = [
    neighbours(edges),
    neighbours([...edges, ...edges.map(({ from, to }) => ({ from: to, to: from }))]),
  ]
  const rank = ranksOf(
    names.filter((name) => inside.has(name)),
    below,
  )
  const rows: string[][] = []
  for (const [name, own] of rank) {
    rows[own] ??= []
    rows[own].push(name)
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) settle(rows, around)
  return rows.filter((row) => row.length > 0)
}

function neighbours(edges: Graph['edges']): Map<string, string[]> {
  const all = new Map<string, string[]>()
  for (const { from, to } of edges) all.set(from, [...(all.get(from) ?? []), to])
  return all
}

/** Each below all that leads to it, by the longest way; what closes a circle does not count. */
function ranksOf(names: readonly string[], below: ReadonlyMap<string, string[]>): Map<string, number> {
  const sorted: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const forward = new Map<string, string[]>()
  const visit = (name: string): void => {
    state.set(name, 'open')
    for (const next of below.get(name) ?? []) {
      if (state.get(next) === 'open') continue
      forward.set(name, [...(forward.get(name) ?? []), next])
      if (!state.has(next)) visit(next)
    }
    state.set(name, 'done')
    sorted.unshift(name)
  }
  for (const name of names) if (!state.has(name)) visit(name)
  const rank = new Map(sorted.map((name): [string, number] => [name, 0]))
  for (const name of sorted) {
    for (const next of forward.get(name) ?? []) rank.set(next, Math.max(rank.get(next) ?? 0, (rank.get(name) ?? 0) + 1))
  }
  // What nothing leads to lies right above what it leads to, not at the top.
  for (const name of sorted) {
    const nearest = Math.min(...(forward.get(name) ?? []).map((next) => rank.get(next) ?? 0))
    if (rank.get(name) === 0 && Number.isFinite(nearest)) rank.set(name, nearest - 1)
  }
  return rank
}

/** Puts each row in the sequence of the middles of what its boxes are joined with. */
function settle(rows: string[][], around: ReadonlyMap<string, string[]>): void {
  const at = new Map<string, number>()
  const number = (row: readonly string[]) => {
    for (const [index, name] of row.entries()) at.set(name, index - (row.length - 1) / 2)
  }
  rows.forEach(number)
  for (const row of rows) {
    const middle = new Map(row.map((name): [string, number] => [name, middleOf(name, around, at)]))
    row.sort((one, other) => (middle.get(one) ?? 0) - (middle.get(other) ?? 0))
    number(row)
  }
}

function middleOf(name: string, around: ReadonlyMap<string, string[]>, at: ReadonlyMap<string, number>): number {
  const others = around.get(name) ?? []
  return others.reduce((sum, other) => sum + (at.get(other) ?? 0), 0) / Math.max(others.length, 1)
}

/** One rank below the other, in the middle; what is too wide is several rows. */
function inRows(ranks: readonly string[][]): Places {
  const places: Record<string, Place> = {}
  let y = 0
  for (const rank of ranks) {
    const rows = Math.ceil(rank.length / ABREAST)
    const wide = Math.ceil(rank.length / Math.max(rows, 1))
    for (let row = 0; row < rows; row++) {
      const own = rank.slice(row * wide, (row + 1) * wide)
      const left = -(own.length * BOX.width + (own.length - 1) * GAP.x) / 2
      for (const [index, name] of own.entries()) places[name] = { x: left + index * (BOX.width + GAP.x), y }
      y += BOX.height + (row === rows - 1 ? GAP.y : GAP.rows)
    }
  }
  return places
}

/**
 * What is new gets a place, and what is there stays: `known` as far as it is drawn, then what another editor has drawn, then the automatic one. Where that is taken,
 * a new box lies below everything.
 */
export function completed(names: readonly string[], known: Places, automatic: Places): Places {
  const places: Record<string, Place> = {}
  for (const name of names) if (known[name]) places[name] = known[name]
  const fresh = names.filter((name) => !places[name])
  if (fresh.length === names.length) return automatic
  const taken = Object.values(places)
  for (const name of fresh) {
    const wanted = automatic[name] ?? { x: 0, y: 0 }
    const place = taken.some((other) => overlaps(other, wanted)) ? below(taken, wanted) : wanted
    places[name] = place
    taken.push(place)
  }
  return places
}

function overlaps(one: Place, other: Place): boolean {
  return Math.abs(one.x - other.x) < BOX.width + 8 && Math.abs(one.y - other.y) < BOX.height + 8
}

function below(taken: readonly Place[], { x }: Place): Place {
  const column = taken.filter((other) => Math.abs(other.x - x) < BOX.width + 8)
  return { x, y: Math.max(...column.map(({ y }) => y)) + BOX.height + GAP.rows }
}

/** A frame around boxes that belong together. */
export interface Frame {
  label: string
  x: number
  y: number
  width: number
  height: number
}

/** Boxes in frames, by what they are for: frames beside each other, two in a row. */
export function grouped(groups: readonly { label: string; names: readonly string[] }[]): {
  places: Places
  frames: Frame[]
} {
  const places: Record<string, Place> = {}
  const frames: Frame[] = []
  const [inset, head] = [24, 44]
  let [x, y, tallest] = [0, 0, 0]
  for (const [index, { label, names }] of groups.entries()) {
    if (index % 2 === 0 && index > 0) {
      x = 0
      y += tallest + 48
      tallest = 0
    }
    const columns = Math.min(Math.max(Math.ceil(Math.sqrt(names.length)), 1), 5)
    for (const [at, name] of names.entries()) {
      const [column, row] = [at % columns, Math.floor(at / columns)]
      places[name] = { x: x + inset + column * (BOX.width + 24), y: y + head + row * (BOX.height + 24) }
    }
    const width = 2 * inset + columns * BOX.width + (columns - 1) * 24
    const rows = Math.ceil(names.length / columns)
    const height = head + rows * BOX.height + (rows - 1) * 24 + inset
    frames.push({ label, x, y, width, height })
    x += width + 48
    tallest = Math.max(tallest, height)
  }
  return { places, frames }
}
