/**
 * Where the states of a machine lie and how its transitions are drawn, when nobody has put them anywhere. The same machine is always drawn the same way.
 *
 * States are in rows from the top down, each below what leads to it; between two rows lie the names of the transitions, each with room of its own. A
 * transition that passes rows has a place in each, so that no line runs through a state. A machine of a hundred states takes some milliseconds.
 */
interface Place {
  x: number
  y: number
}

export const STATE = { width: 196, height: 62 } as const
const LABEL_HEIGHT = 24
const GAP = { x: 22, y: 20 } as const
/** Room of a line that passes a row. */
const PASS = 12

export interface MachineGraph {
  initial: string
  states: readonly string[]
  /** `width` of what is written on it, in pixels of the drawing. */
  transitions: readonly { name: string; from: string; to: string; width: number }[]
}

export interface LaidTransition {
  /** Of the line, as SVG draws it. */
  path: string
  /** Middle of its name. */
  label: Place
}

export interface Laid {
  /** Upper left corners. */
  states: Readonly<Record<string, Place>>
  transitions: Readonly<Record<string, LaidTransition>>
  /** Around all of it. */
  bounds: { x: number; y: number; width: number; height: number }
}

/** Something that takes room in a row: a state, or what a transition needs there. */
interface Cell {
  rank: number
  width: number
  x: number
  /** Cells of the rows above and below that it is joined with. */
  above: Cell[]
  below: Cell[]
}

/** A transition, from the upper of its states to the lower. */
interface Chain {
  name: string
  cells: Cell[]
  label: Cell
  /** It leads upwards. */
  isBack: boolean
}

export function laidOut(graph: MachineGraph): Laid {
  const known = new Set(graph.states)
  const joined = graph.transitions.filter(({ from, to }) => known.has(from) && known.has(to))
  const apart = joined.filter(({ from, to }) => from !== to)
  const loops = joined.filter(({ from, to }) => from === to)
  const rank = ranksOf(graph, apart)
  const states = new Map<string, Cell>()
  for (const name of rank.keys()) {
    const room = Math.max(0, ...loops.filter(({ from }) => from === name).map(({ width }) => width + 36))
    states.set(name, cell(2 * (rank.get(name) ?? 0), STATE.width + 2 * room))
  }
  const chains = chained(apart, rank, states)
  const rows = rowsOf([...states.values()], chains)
  inSequence(rows)
  inPlace(rows)
  const y = heights(rows)
  const corners = [...states].map(([name, { x, rank: own }]): [string, Place] => [
    name,
    { x: Math.round(x - STATE.width / 2), y: (y[own] ?? 0) - STATE.height / 2 },
  ])
  const drawn = chains.map((chain): [string, LaidTransition] => [chain.name, lineOf(chain, y)])
  const looped = loops.map(({ name, from, width }): [string, LaidTransition] => {
    const { x, rank: own } = states.get(from) as Cell
    return [name, loopAt({ x: x + STATE.width / 2, y: y[own] ?? 0 }, width)]
  })
  return {
    states: Object.fromEntries(corners),
    transitions: Object.fromEntries([...drawn, ...looped]),
    bounds: boundsOf(rows, y),
  }
}

function boundsOf(rows: readonly Cell[][], y: readonly number[]): Laid['bounds'] {
  const cells = rows.flat()
  if (cells.length === 0) return { x: 0, y: 0, width: STATE.width, height: STATE.height }
  const left = Math.min(...cells.map(({ x, width }) => x - width / 2))
  const right = Math.max(...cells.map(({ x, width }) => x + width / 2))
  return { x: left, y: 0, width: right - left, height: (y.at(-1) ?? 0) + STATE.height / 2 }
}

function cell(rank: number, width: number): Cell {
  return { rank, width, x: 0, above: [], below: [] }
}

/** Each below all that leads to it, by the longest way; what leads back to where a course has been does not count. */
function ranksOf({ initial, states }: MachineGraph, transitions: MachineGraph['transitions']): Map<string, number> {
  const after = new Map<string, string[]>()
  for (const { from, to } of transitions) after.set(from, [...(after.get(from) ?? []), to])
  const seen = new Map<string, 'open' | 'done'>()
  const forward: [string, string][] = []
  const sorted: string[] = []
  const visit = (name: string): void => {
    seen.set(name, 'open')
    for (const next of after.get(name) ?? []) {
      if (seen.get(next) === 'open') continue
      forward.push([name, next])
      if (!seen.has(next)) visit(next)
    }
    seen.set(name, 'done')
    sorted.unshift(name)
  }
  for (const name of [initial, ...states]) if (states.includes(name) && !seen.has(name)) visit(name)
  const rank = new Map(sorted.map((name): [string, number] => [name, 0]))
  for (const name of sorted) {
    for (const [from, to] of forward) {
      if (from === name) rank.set(to, Math.max(rank.get(to) ?? 0, (rank.get(name) ?? 0) + 1))
    }
  }
  return rank
}

/** Gives each transition a place in every row that it passes, and its name a row that has room. */
function chained(
  transitions: MachineGraph['transitions'],
  rank: ReadonlyMap<string, number>,
  states: ReadonlyMap<string, Cell>,
): Chain[] {
  const crowd = new Map<number, number>()
  return transitions.map(({ name, from, to, width }) => {
    const isBack = (rank.get(from) ?? 0) > (rank.get(to) ?? 0)
    const [upper, lower] = [states.get(isBack ? to : from) as Cell, states.get(isBack ? from : to) as Cell]
    const between: Cell[] = []
    for (let row = upper.rank + 1; row < lower.rank; row++) between.push(cell(row, PASS))
    const rooms = between.filter((one) => one.rank % 2 === 1)
    if (isBack) rooms.reverse()
    const label = rooms.reduce((best, one) => ((crowd.get(one.rank) ?? 0) < (crowd.get(best.rank) ?? 0) ? one : best))
    label.width = width
    crowd.set(label.rank, (crowd.get(label.rank) ?? 0) + width)
    const cells = [upper, ...between, lower]
    join(cells)
    return { name, cells, label, isBack }
  })
}

function join(cells: readonly Cell[]): void {
  for (const [index, next] of cells.slice(1).entries()) {
    const one = cells[index] as Cell
    one.below.push(next)
    next.above.push(one)
  }
}

function rowsOf(states: readonly Cell[], chains: readonly Chain[]): Cell[][] {
  const rows: Cell[][] = []
  const put = (one: Cell) => {
    rows[one.rank] ??= []
    rows[one.rank]?.push(one)
  }
  states.forEach(put)
  for (const { cells } of chains) cells.slice(1, -1).forEach(put)
  return Array.from(rows, (row) => row ?? [])
}

/** Times that every row is put in a better sequence, down and up in turn. */
const SWEEPS = 16

/** The sequence in each row that lets the fewest lines cross. */
function inSequence(rows: Cell[][]): void {
  rows.forEach(number)
  let best = { crossings: crossings(rows), rows: rows.map((row) => [...row]) }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0
    for (const row of down ? rows : rows.toReversed()) {
      const middle = new Map(row.map((one): [Cell, number] => [one, middleOf(down ? one.above : one.below, one)]))
      row.sort((one, other) => (middle.get(one) ?? 0) - (middle.get(other) ?? 0))
      number(row)
    }
    const now = crossings(rows)
    if (now < best.crossings) best = { crossings: now, rows: rows.map((row) => [...row]) }
  }
  for (const [index, row] of best.rows.entries()) {
    rows[index] = row
    number(row)
  }
}

/** While the sequence is sought, `x` is the place in it. */
function number(row: readonly Cell[]): void {
  for (const [index, one] of row.entries()) one.x = index
}

function middleOf(others: readonly Cell[], own: Cell): number {
  if (others.length === 0) return own.x
  return others.reduce((sum, { x }) => sum + x, 0) / others.length
}

function crossings(rows: readonly Cell[][]): number {
  let count = 0
  for (const row of rows) {
    const lines = row.flatMap((one) => one.below.map((next): [number, number] => [one.x, next.x]))
    for (const [index, [from, to]] of lines.entries()) {
      for (const [otherFrom, otherTo] of lines.slice(index + 1)) {
        if ((from - otherFrom) * (to - otherTo) < 0) count++
      }
    }
  }
  return count
}

const SETTLING = 40

/** As near as can be to what each is joined with, without touching its neighbours. */
function inPlace(rows: readonly Cell[][]): void {
  for (const row of rows) spread(row, Array(row.length).fill(0))
  for (let sweep = 0; sweep < SETTLING; sweep++) {
    for (const row of sweep % 2 === 0 ? rows : rows.toReversed()) {
      spread(
        row,
        row.map((one) => restOf(one)),
      )
    }
  }
}

/** Where a cell would lie by itself. A line that passes rows is straight before it is short. */
function restOf(own: Cell): number {
  const others = [...own.above, ...own.below]
  let [sum, weight] = [0, 0]
  for (const other of others) {
    const pull = own.width === PASS && other.width === PASS ? 6 : own.width === PASS || other.width === PASS ? 0.5 : 1
    sum += other.x * pull
    weight += pull
  }
  return weight > 0 ? sum / weight : own.x
}

/** Puts the cells of a row where they want to be, as far as all have room: those that press against each other meet in the middle. */
function spread(row: readonly Cell[], wanted: readonly number[]): void {
  const offsets: number[] = []
  let offset = 0
  for (const [index, { width }] of row.entries()) {
    if (index > 0) offset += ((row[index - 1] as Cell).width + width) / 2 + GAP.x
    offsets.push(offset)
  }
  const blocks: { sum: number; count: number }[] = []
  for (const [index, own] of wanted.entries()) {
    let block = { sum: own - (offsets[index] ?? 0), count: 1 }
    for (let last = blocks.at(-1); last && last.sum / last.count > block.sum / block.count; last = blocks.at(-1)) {
      block = { sum: block.sum + last.sum, count: block.count + last.count }
      blocks.pop()
    }
    blocks.push(block)
  }
  let index = 0
  for (const { sum, count } of blocks) {
    for (let left = count; left > 0; left--, index++) (row[index] as Cell).x = sum / count + (offsets[index] ?? 0)
  }
}

/** The middle of each row. */
function heights(rows: readonly Cell[][]): number[] {
  let y = 0
  return rows.map((_, rank) => {
    const height = rank % 2 === 0 ? STATE.height : LABEL_HEIGHT
    const middle = y + height / 2
    y += height + GAP.y
    return middle
  })
}

/** Where on a state's edge a line ends: in the sequence of where the lines go. */
function port(state: Cell, next: Cell, side: 'above' | 'below'): number {
  const lines = state[side].toSorted((one, other) => one.x - other.x)
  const step = Math.min(26, (STATE.width - 56) / Math.max(lines.length - 1, 1))
  return state.x + (lines.indexOf(next) - (lines.length - 1) / 2) * step
}

function lineOf({ cells, label, isBack }: Chain, y: readonly number[]): LaidTransition {
  const [upper, lower] = [cells[0] as Cell, cells.at(-1) as Cell]
  const half = STATE.height / 2
  const points: Place[] = [{ x: port(upper, cells[1] as Cell, 'below'), y: (y[upper.rank] ?? 0) + half }]
  for (const one of cells.slice(1, -1)) {
    const middle = y[one.rank] ?? 0
    const reach = one.rank % 2 === 0 ? half : LABEL_HEIGHT / 2
    points.push({ x: one.x, y: middle - reach }, { x: one.x, y: middle + reach })
  }
  points.push({ x: port(lower, cells.at(-2) as Cell, 'above'), y: (y[lower.rank] ?? 0) - half })
  if (isBack) points.reverse()
  return { path: curved(points), label: { x: Math.round(label.x), y: y[label.rank] ?? 0 } }
}

/** Lines that leave each point straight up or down. */
function curved(points: readonly Place[]): string {
  const told = points.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }))
  const [first, ...rest] = told as [Place, ...Place[]]
  let last = first
  let path = `M${first.x},${first.y}`
  for (const next of rest) {
    const middle = (last.y + next.y) / 2
    path += last.x === next.x ? `L${next.x},${next.y}` : `C${last.x},${middle} ${next.x},${middle} ${next.x},${next.y}`
    last = next
  }
  return path
}

/** Out at the right side of a state, and back in. */
function loopAt({ x, y }: Place, width: number): LaidTransition {
  const [left, reach] = [Math.round(x), 26]
  return {
    path: `M${left},${y - 14}C${left + reach},${y - 26} ${left + reach},${y + 26} ${left},${y + 14}`,
    label: { x: left + reach + Math.round(width / 2), y },
  }
}
