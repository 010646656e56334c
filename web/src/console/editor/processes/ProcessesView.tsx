/** The processes of an installation, with their modules: drawn, and as a table that says the same. */
import './ProcessesView.css'
import {
  Background,
  Controls,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  type NodeTypes,
  Position,
  ReactFlow,
  ReactFlowProvider,
} from '@xyflow/react'
import { memo, useMemo } from 'react'
import { useAnswer } from '../../../shared/answers'
import { navigate } from '../../../shared/router'
import { type Container, type Installation, installationOf, shared } from '../../containers.ts'
import { lens } from '../../lens.ts'
import * as api from '../../operator/api'
import { select, show, useEditor } from '../documents.ts'
import { type Box, handlesOf } from '../drawing.ts'
import { ModuleBox } from '../ModuleBox.tsx'
import { BOX, type Frame, grouped, type Places } from '../placing.ts'
import { ProcessesTable } from './ProcessesTable.tsx'

/** Between two looks at the processes. */
const LOOK_MS = 5_000

export default function ProcessesView() {
  const configs = useEditor((state) => state.configs)
  const { data, error } = useAnswer<api.Process[]>('console/processes', (signal) => api.processes(signal), {
    every: () => LOOK_MS,
  })
  const installation = useMemo(() => {
    const opened = configs.map(({ id, name, text, dirty, base }) => ({
      id,
      name,
      dirty,
      model: lens(text),
      base: base?.digest ?? null,
    }))
    return installationOf(opened, data ?? [])
  }, [configs, data])
  return (
    <div className="processes">
      <p className="processes-by" role="status">
        {wordsOf(data, error)}
      </p>
      <ReactFlowProvider>
        <Drawn installation={installation} />
      </ReactFlowProvider>
      <ProcessesTable installation={installation} onOpen={open} />
    </div>
  )
}

function wordsOf(told: readonly api.Process[] | undefined, error: unknown): string {
  if (told)
    return told.length === 1
      ? 'One process, which passes nothing on to others.'
      : `${told.length} processes, as the first of them sees them.`
  if (error === undefined) return 'The process is asked…'
  return 'No process answers here: these are the configs that are open.'
}

/** The config of a process, with one of its modules selected. */
function open({ config }: Container, module?: string): void {
  if (config === null) return
  show(config)
  if (module !== undefined) select({ modules: [module] })
  navigate('/')
}

type FrameData = { container: Container }
type ContainerNode = Node<FrameData, 'container'>

const nodeTypes: NodeTypes = {
  module: ModuleBox,
  container: memo(({ data: { container } }: NodeProps<ContainerNode>) => (
    <div className="process-box" data-health={container.health ?? 'unknown'}>
      <Handle type="target" position={Position.Top} />
      <strong>{container.name}</strong>
      <span>{healthOf(container)}</span>
      {container.silent && <em>It does not tell its modules. Open its config to see them.</em>}
      <Handle type="source" position={Position.Bottom} />
    </div>
  )),
}

/** How it is, in a word. */
export function healthOf({ health, version }: Container): string {
  if (health === null) return 'not known to run'
  return version ? `${health}, ${version}` : health
}

function Drawn({ installation }: { installation: Installation }) {
  const { nodes, edges } = useMemo(() => drawing(installation), [installation])
  const openModule = (_: unknown, node: Node) => {
    const { containers } = installation
    const [id, module] = node.type === 'module' ? (JSON.parse(node.id) as [string, string]) : [node.id, undefined]
    const container = containers.find((one) => one.id === id)
    if (container) open(container, module)
  }
  return (
    <div className="processes-drawing">
      <ReactFlow
        key={nodes.length}
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        onNodeClick={openModule}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        deleteKeyCode={null}
        minZoom={0.05}
        fitView
        fitViewOptions={FITTING}
        onlyRenderVisibleElements
        proOptions={PRO}
        aria-label="Processes"
      >
        <Background gap={24} size={1.5} />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  )
}

const PRO = { hideAttribution: true }
const FITTING = { padding: 0.1, maxZoom: 1 }

/** Those that are asked lie below those that ask. */
function arranged(groups: readonly Group[], asked: ReadonlySet<string>): ReturnType<typeof grouped> {
  const own = new Map<string, { frame: Frame; places: Places }>()
  let y = 0
  for (const row of [groups.filter(({ label }) => !asked.has(label)), groups.filter(({ label }) => asked.has(label))]) {
    let [x, tallest] = [0, 0]
    for (const group of row) {
      const { frames, places } = grouped([group])
      const frame = frames[0] as Frame
      const moved = Object.entries(places).map(([name, at]) => [name, { x: at.x + x, y: at.y + y }] as const)
      own.set(group.label, { frame: { ...frame, x, y }, places: Object.fromEntries(moved) })
      x += frame.width + GAP.x
      tallest = Math.max(tallest, frame.height)
    }
    if (row.length > 0) y += tallest + GAP.y
  }
  return {
    frames: groups.flatMap(({ label }) => own.get(label)?.frame ?? []),
    places: Object.assign({}, ...[...own.values()].map(({ places }) => places)),
  }
}

const GAP = { x: 48, y: 140 }

interface Group {
  label: string
  names: readonly string[]
}

const moduleId = (container: string, module: string): string => JSON.stringify([container, module])

function drawing(installation: Installation) {
  const { containers, traffic } = installation
  const others = shared(installation)
  // A frame without modules has room for its words.
  const groups = containers.map(({ id, modules }) => ({
    label: id,
    names: modules.length > 0 ? modules.map(({ name }) => moduleId(id, name)) : [moduleId(id, '')],
  }))
  const { frames, places } = arranged(groups, new Set(traffic.map(({ to }) => to)))
  const around = frames.map(({ label, x, y, width, height }, index) => ({
    id: label,
    type: 'container',
    position: { x, y },
    width,
    height,
    measured: { width, height },
    handles: handlesOf({ width, height }),
    data: { container: containers[index] as Container },
    zIndex: -1,
  }))
  const boxes = containers.flatMap(({ id, modules }) =>
    modules.map(({ name, label, type, role, fact }): Box => {
      const key = moduleId(id, name)
      const also = (others.get(name)?.length ?? 1) - 1
      const more = also > 0 ? `in ${also + 1} processes` : fact
      return {
        id: key,
        type: 'module',
        position: places[key] ?? { x: 0, y: 0 },
        ...BOX,
        measured: BOX,
        handles: handlesOf(BOX),
        data: { name, type, label, role, fact: more, known: true, problems: 0, told: `${label} ${name}` },
      }
    }),
  )
  const edges = traffic.map(({ from, to, what }) => ({
    id: `${from} ${to}`,
    source: from,
    target: to,
    className: 'line line-proxy',
    label: what.length > 3 ? `${what.slice(0, 3).join(', ')} and ${what.length - 3} more` : what.join(', '),
    labelBgPadding: [6, 3] as [number, number],
    labelBgBorderRadius: 6,
    zIndex: 1,
    markerEnd: { type: MarkerType.ArrowClosed, width: 18, height: 18, color: 'var(--line-proxy)' },
  }))
  return { nodes: [...around, ...boxes], edges }
}
