/** The drawing of a config. It is made from the text, and every gesture on it is an edit of the text; only where boxes lie is its own. */
import '@xyflow/react/dist/base.css'
import './Canvas.css'
import {
  Background,
  type Connection,
  Controls,
  type EdgeChange,
  MiniMap,
  type NodeChange,
  type NodeTypes,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from '@xyflow/react'
import { type DragEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { Model } from '../lens.ts'
import { add } from './actions.ts'
import { select, useEditor, useModel, useShown } from './documents.ts'
import { type Box, boxes, drawnEdges, type FrameNode, frameNodes, lines } from './drawing.ts'
import { FrameBox, ModuleBox } from './ModuleBox.tsx'
import { put, useLooks, usePlaces } from './places.ts'
import { BOX, grouped, type Place, type Places } from './placing.ts'
import { useProblems } from './problems.ts'
import { ROLES } from './roles.ts'
import { useView } from './view.ts'

/** What the palette gives to the canvas. */
export const DRAGGED = 'application/workflow-module-type'

const nodeTypes: NodeTypes = { module: ModuleBox, frame: FrameBox }

export function Canvas({ onConnect }: { onConnect: (from: string, to: string) => void }) {
  return (
    <ReactFlowProvider>
      <Drawing onConnect={onConnect} />
    </ReactFlowProvider>
  )
}

function Drawing({ onConnect }: { onConnect: (from: string, to: string) => void }) {
  const config = useShown()
  const model = useReadable()
  const { selection } = useEditor()
  const { byModule } = useProblems()
  const { isGrouped, text: hasText } = useView()
  const own = usePlaces(config, model)
  const groups = useMemo(() => (isGrouped ? byRole(model) : null), [isGrouped, model])
  const [moving, setMoving] = useState<Places>({})
  const before = useRef<Box[]>([])
  const nodes = useMemo((): (Box | FrameNode)[] => {
    const places = groups?.places ?? own
    if (!places) return []
    before.current = boxes(model, { ...places, ...moving }, selection.modules, byModule, before.current)
    return [...frameNodes(groups?.frames ?? []), ...before.current]
  }, [model, own, groups, moving, selection.modules, byModule])
  const edges = useMemo(
    () => lines(drawnEdges(model, selection.modules), selection.modules, selection.edge),
    [model, selection.modules, selection.edge],
  )
  const { screenToFlowPosition } = useReactFlow()
  useLookAtAll(`${config.id} ${config.name}`, nodes.length > 0, model.modules.length === 0)
  useFollowed(selection.modules, nodes, hasText)

  const onNodesChange = useCallback(
    (changes: NodeChange[]) => {
      takeSelection(changes)
      const moved = movedBy(changes)
      if (!moved) return
      if (moved.done) {
        setMoving({})
        put(config, moved.places)
      } else setMoving((now) => ({ ...now, ...moved.places }))
    },
    [config],
  )
  const drop = (event: DragEvent) => {
    const type = event.dataTransfer.getData(DRAGGED)
    if (!type) return
    event.preventDefault()
    const { x, y } = screenToFlowPosition({ x: event.clientX, y: event.clientY })
    add(type, { x: Math.round(x - BOX.width / 2), y: Math.round(y - BOX.height / 2) })
  }
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      onNodesChange={onNodesChange}
      onEdgesChange={takeEdge}
      onConnect={({ source, target }: Connection) => onConnect(source, target)}
      onDrop={drop}
      onDragOver={(event) => event.preventDefault()}
      deleteKeyCode={null}
      minZoom={0.05}
      maxZoom={2}
      fitViewOptions={FITTING}
      onlyRenderVisibleElements
      connectionRadius={40}
      elevateNodesOnSelect={false}
      nodesDraggable={!isGrouped}
      proOptions={PRO}
      aria-label="Canvas"
    >
      <Background gap={24} size={1.5} />
      <Controls showInteractive={false} />
      <MiniMap pannable zoomable style={SMALL} ariaLabel="Small drawing of all modules" nodeClassName={roleClass} />
    </ReactFlow>
  )
}

const SMALL = { width: 150, height: 110 }
const PRO = { hideAttribution: true }
const FITTING = { padding: 0.15, maxZoom: 1 }
const roleClass = (node: { data: object }) => `minimap-node role-${(node as Box).data.role ?? 'frame'}`

/** What is drawn while the text cannot be read: what it said last. */
function useReadable(): Model {
  const { id } = useShown()
  const model = useModel()
  const last = useRef<{ id: string; model: Model } | null>(null)
  const isUnreadable = model.readOnly !== null && model.modules.length === 0
  if (isUnreadable && last.current?.id === id) return last.current.model
  last.current = { id, model }
  return model
}

function byRole({ modules }: Model) {
  const groups = ROLES.map(([role, label]) => ({
    label,
    names: [...new Set(modules.filter((module) => module.role === role).map(({ name }) => name))],
  }))
  return grouped(groups.filter(({ names }) => names.length > 0))
}

/** Selects what the canvas says is selected. */
function takeSelection(changes: readonly NodeChange[]): void {
  const { selection } = useEditor.getState()
  const modules = new Set(selection.modules)
  let changed = false
  for (const change of changes) {
    if (change.type !== 'select' || modules.has(change.id) === change.selected) continue
    changed = true
    if (change.selected) modules.add(change.id)
    else modules.delete(change.id)
  }
  if (changed) select({ modules: [...modules], edge: modules.size > 0 ? null : selection.edge })
}

function takeEdge(changes: readonly EdgeChange[]): void {
  for (const change of changes) {
    if (change.type !== 'select') continue
    const { selection } = useEditor.getState()
    if (change.selected) select({ edge: change.id })
    else if (selection.edge === change.id) select({ modules: selection.modules })
  }
}

function movedBy(changes: readonly NodeChange[]): { places: Places; done: boolean } | null {
  const places: Record<string, Place> = {}
  let done = true
  for (const change of changes) {
    if (change.type !== 'position' || !change.position) continue
    places[change.id] = { x: Math.round(change.position.x), y: Math.round(change.position.y) }
    if (change.dragging) done = false
  }
  return Object.keys(places).length > 0 ? { places, done } : null
}

/** The whole drawing is seen when a config is opened, and when somebody asks; not when a first box is put somewhere. */
function useLookAtAll(id: string, isDrawn: boolean, isEmpty: boolean): void {
  const { fitView } = useReactFlow()
  const looks = useLooks()
  const seen = useRef('')
  useEffect(() => {
    const wanted = `${id} ${looks}`
    if (isEmpty) seen.current = wanted
    if (!isDrawn || seen.current === wanted) return
    // After the boxes are known to the canvas.
    const frame = requestAnimationFrame(() => {
      // On a phone there is no room for it.
      if (!document.querySelector('.react-flow')?.clientWidth) return
      seen.current = wanted
      void fitView(FITTING)
    })
    return () => cancelAnimationFrame(frame)
  }, [id, looks, isDrawn, isEmpty, fitView])
}

/** What was selected elsewhere comes into view, and what is selected stays there when the canvas has another size. */
function useFollowed(
  selected: readonly string[],
  nodes: readonly { id: string; position: Place }[],
  size: boolean,
): void {
  const { getViewport, setCenter, screenToFlowPosition } = useReactFlow()
  const [only] = selected
  const all = useRef(nodes)
  all.current = nodes
  // biome-ignore lint/correctness/useExhaustiveDependencies: each size is looked at anew
  useEffect(() => {
    const box = selected.length === 1 ? all.current.find(({ id }) => id === only) : undefined
    const around = document.querySelector('.react-flow')?.getBoundingClientRect()
    if (!box || !around?.width) return
    const start = screenToFlowPosition({ x: around.left, y: around.top })
    const end = screenToFlowPosition({ x: around.right, y: around.bottom })
    const middle = { x: box.position.x + BOX.width / 2, y: box.position.y + BOX.height / 2 }
    const { x, y } = box.position
    const isSeen = x > start.x && x + BOX.width < end.x && y > start.y && y + BOX.height < end.y
    if (!isSeen) void setCenter(middle.x, middle.y, { zoom: Math.max(getViewport().zoom, 0.75), duration: 200 })
  }, [only, selected.length, size, getViewport, setCenter, screenToFlowPosition])
}
