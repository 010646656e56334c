/** Where the boxes of modules lie when nobody has put them anywhere. The same config is always drawn the same way. */
import { graphlib, layout } from '@dagrejs/dagre'

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

/** The ranks of what is joined, each from left to right. */
function ranked(joined: readonly string[], names: readonly string[], edges: Graph['edges']): string[][] {
  if (joined.length === 0) return []
  const graph = new graphlib.Graph()
  graph.setGraph({ rankdir: 'TB', nodesep: GAP.x, ranksep: GAP.y })
  graph.setDefaultEdgeLabel(() => ({}))
  const inside = new Set(joined)
  for (const name of names) if (inside.has(name)) graph.setNode(name, { ...BOX })
  for (const { from, to } of edges) graph.setEdge(from, to)
  layout(graph)
  const ranks = new Map<number, { name: string; x: number }[]>()
  for (const name of graph.nodes()) {
    const { x = 0, y = 0 } = graph.node(name) as Partial<Place>
    ranks.set(y, [...(ranks.get(y) ?? []), { name, x }])
  }
  return [...ranks]
    .sort(([one], [other]) => one - other)
    .map(([, own]) => own.sort((one, other) => one.x - other.x).map(({ name }) => name))
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
