/** The drawing of a config: boxes and lines for the canvas, made from what the text says. */
import { type Edge as Line, MarkerType, type Node, Position } from '@xyflow/react'
import type { Edge, EdgeKind } from '../edges.ts'
import type { Model } from '../lens.ts'
import type { Role } from '../moduleTypes.ts'
import { BOX, type Frame, type Graph, type Places } from './placing.ts'

/** What a box tells. */
export interface BoxData extends Record<string, unknown> {
  name: string
  type: string
  label: string
  role: Role
  fact: string
  known: boolean
  problems: number
  /** All of it in a sentence, for those who do not see it. */
  told: string
}
export type Box = Node<BoxData, 'module'>
export type FrameNode = Node<{ label: string }, 'frame'>

/** Where lines come in and go out of a box of this size. */
export function handlesOf({ width, height }: { width: number; height: number }) {
  return [
    { type: 'target' as const, position: Position.Top, x: width / 2 - 5, y: -5, width: 10, height: 10 },
    { type: 'source' as const, position: Position.Bottom, x: width / 2 - 5, y: height - 5, width: 10, height: 10 },
  ]
}

const HANDLES = handlesOf(BOX)

/** Lines that are drawn. A dependency that another line says as well is not drawn a second time, unless one of its ends is selected. */
export function drawnEdges({ edges, modules }: Model, selected: readonly string[]): Edge[] {
  const names = new Set(modules.map(({ name }) => name))
  const drawn = edges.filter(({ from, to }) => names.has(from) && names.has(to) && from !== to)
  const meant = new Set(
    drawn.filter(({ kind }) => kind !== 'dependency').flatMap(({ from, to }) => [`${from}\n${to}`, `${to}\n${from}`]),
  )
  const isChosen = ({ from, to }: Edge) => selected.includes(from) || selected.includes(to)
  return drawn.filter((edge) => edge.kind !== 'dependency' || !meant.has(`${edge.from}\n${edge.to}`) || isChosen(edge))
}

/** What boxes are placed by: who names whom, from the top down. */
export function graphOf(model: Model): Graph {
  const lines = model.edges.map(({ kind, from, to }) => (UPWARDS.has(kind) ? { from: to, to: from } : { from, to }))
  return { names: [...new Set(model.modules.map(({ name }) => name))], edges: lines }
}

/** What these name lies above: a database above what is stored in it, as dependencies have it. */
const UPWARDS = new Set<EdgeKind>(['database', 'workflow', 'component', 'limit', 'trigger', 'catalogue', 'grant'])

/** The boxes. Those of which nothing has changed are the same objects, so that they are not drawn again. */
export function boxes(
  model: Model,
  places: Places,
  selected: readonly string[],
  problems: ReadonlyMap<string, number>,
  before: readonly Box[],
): Box[] {
  const known = new Map(before.map((box) => [box.id, box]))
  const seen = new Set<string>()
  return model.modules.flatMap((module) => {
    const { name, type, label, role, fact } = module
    if (seen.has(name)) return []
    seen.add(name)
    const count = problems.get(name) ?? 0
    const told = [`${label} ${name}`, fact, count > 0 ? `${count} ${count === 1 ? 'problem' : 'problems'}` : '']
      .filter(Boolean)
      .join(', ')
    const data: BoxData = { name, type, label, role, fact, known: module.known, problems: count, told }
    const position = places[name] ?? { x: 0, y: 0 }
    const isSelected = selected.includes(name)
    const old = known.get(name)
    const same = old && JSON.stringify(old.data) === JSON.stringify(data)
    if (same && old.selected === isSelected && old.position.x === position.x && old.position.y === position.y)
      return [old]
    return [
      {
        ...old,
        id: name,
        type: 'module',
        position,
        data: same ? old.data : data,
        selected: isSelected,
        ariaLabel: told,
        handles: HANDLES,
        ...BOX,
        measured: BOX,
      } satisfies Box,
    ]
  })
}

export function frameNodes(frames: readonly Frame[]): FrameNode[] {
  return frames.map(({ label, x, y, width, height }) => ({
    id: `frame ${label}`,
    type: 'frame',
    position: { x, y },
    width,
    height,
    measured: { width, height },
    data: { label },
    selectable: false,
    draggable: false,
    focusable: false,
    zIndex: -1,
  }))
}

/** The lines, with what is written on them. */
export function lines(edges: readonly Edge[], selected: readonly string[], chosen: string | null): Line[] {
  return edges.map((edge) => {
    const isNear = edge.id === chosen || selected.includes(edge.from) || selected.includes(edge.to)
    const label = isNear ? labelOf(edge) : undefined
    return {
      id: edge.id,
      source: edge.from,
      target: edge.to,
      selected: edge.id === chosen,
      className: `line line-${edge.kind}${isNear ? ' line-near' : ''}`,
      ariaLabel: toldOf(edge),
      markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, color: `var(--line-${edge.kind})` },
      ...(label ? { label, labelBgPadding: [6, 3] as [number, number], labelBgBorderRadius: 6 } : {}),
    }
  })
}

const WORDS: Record<EdgeKind, string> = {
  dependency: 'starts before',
  workflow: 'has its workflow run by',
  catalogue: 'takes prices from',
  database: 'stores in',
  grant: 'may call',
  component: 'runs',
  limit: 'has the limits of',
  serves: 'serves the routes of',
  route: 'passes requests to',
  hook: 'starts',
  subscription: 'tells',
  trigger: 'moves work of',
  proxy: 'passes requests to',
}

/** A line in a sentence. */
export function toldOf({ kind, from, to, labels, via }: Edge): string {
  const through = via.length > 0 ? ` through ${via.join(', ')}` : ''
  return `${from} ${WORDS[kind]} ${to}${through}${labels.length > 0 ? `: ${labels.join('; ')}` : ''}`
}

/** What has room on a line. */
function labelOf({ kind, labels }: Edge): string {
  const [first, ...more] = labels
  if (first === undefined) return kind === 'dependency' ? '' : WORDS[kind]
  const short = first.length > 36 ? `${first.slice(0, 35)}…` : first
  return more.length > 0 ? `${short} and ${more.length} more` : short
}
