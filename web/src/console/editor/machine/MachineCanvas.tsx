/** The drawing of a machine. It is made from the text, and everything that is done on it is an edit of the text. */
import '@xyflow/react/dist/base.css'
import '../Canvas.css'
import {
  Background,
  type Connection,
  Controls,
  type EdgeChange,
  type EdgeTypes,
  type NodeChange,
  type NodeTypes,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from '@xyflow/react'
import { type DragEvent, type KeyboardEvent, type MouseEvent, useCallback, useEffect, useMemo, useRef } from 'react'
import { type Laid, STATE } from '../../machineLayout.ts'
import type { Machine } from '../../machines.ts'
import { select, useEditor } from '../documents.ts'
import type { Asked } from './MachineDialogs.tsx'
import { COMPONENT, useDrop } from './MachineView.tsx'
import { layout, type Mark, stateNodes, transitionLines, type Ways } from './machineDrawing.ts'
import { StateBox, Way } from './StateBox.tsx'

const nodeTypes: NodeTypes = { state: StateBox }
const edgeTypes: EdgeTypes = { transition: Way }
const PRO = { hideAttribution: true }

interface Props {
  machine: Machine
  problems: ReadonlyMap<string, number>
  marks: ReadonlyMap<string, Mark>
  ways: Ways
  onAsk: (asked: Asked) => void
}

export function MachineCanvas(props: Props) {
  return (
    <ReactFlowProvider>
      <Drawing {...props} />
    </ReactFlowProvider>
  )
}

function Drawing({ machine, problems, marks, ways, onAsk }: Props) {
  const selected = useEditor(({ selection }) => keyOf(machine, selection.path))
  const laid = useMemo(() => layout(machine), [machine])
  const seen = useMemo(() => ({ selected, problems, marks }), [selected, problems, marks])
  const nodes = useMemo(() => stateNodes(machine, laid, seen), [machine, laid, seen])
  const edges = useMemo(() => transitionLines(machine, laid, seen, ways), [machine, laid, seen, ways])
  const drop = useDrop(machine)
  const look = useLook(laid)
  const here = hereIn(marks)
  useFollowed(selected, laid)
  useFollowed(here, laid, STATE.width / 2)
  useLookAgain(look, here !== '')
  const choose = (kind: string, changes: readonly (NodeChange | EdgeChange)[]) => {
    for (const change of changes) {
      if (change.type === 'select' && change.selected) select({ path: [...machine.path, kind, change.id] })
    }
  }
  const dropped = (event: DragEvent) => {
    const component = event.dataTransfer.getData(COMPONENT)
    const state = stateUnder(event.target)
    if (!component || state === null) return
    event.preventDefault()
    drop(component, state)
  }
  const twice = ({ target }: MouseEvent) => {
    if (target instanceof Element && target.classList.contains('react-flow__pane'))
      onAsk({ what: 'state', after: null })
  }
  return (
    <ReactFlow
      className="machine-canvas"
      onKeyDown={(event) => walk(event, machine, laid)}
      onDoubleClick={twice}
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      onNodesChange={(changes) => choose('states', changes)}
      onEdgesChange={(changes) => choose('transitions', changes)}
      onPaneClick={() => select({})}
      onConnect={({ source, target }: Connection) => onAsk({ what: 'transition', from: source, to: target })}
      onDrop={dropped}
      onDragOver={(event) => event.preventDefault()}
      deleteKeyCode={null}
      zoomOnDoubleClick={false}
      nodesDraggable={false}
      minZoom={0.1}
      maxZoom={2}
      connectionRadius={40}
      proOptions={PRO}
      aria-label={`Machine ${machine.name}`}
    >
      <Background gap={24} size={1.5} />
      <Controls showInteractive={false} onFitView={look} showFitView />
    </ReactFlow>
  )
}

/** `states new`: the part of the machine that is selected. */
function keyOf({ path }: Machine, at: readonly (string | number)[] | null): string {
  const isIn = at?.every((step, index) => index >= path.length || step === path[index])
  return at && isIn && at.length > path.length + 1 ? `${at[path.length]} ${at[path.length + 1]}` : ''
}

/** Where the simulated instance is. */
function hereIn(marks: ReadonlyMap<string, Mark>): string {
  const here = [...marks].find(([, { kind }]) => kind === 'here')
  return here ? `states ${here[0]}` : ''
}

function stateUnder(target: EventTarget): string | null {
  const box = target instanceof Element ? target.closest<HTMLElement>('.react-flow__node') : null
  return box?.dataset.id ?? null
}

/** Arrows go along the transitions: down to what follows, up to what was before, and to the sides in a row. */
function walk(event: KeyboardEvent, { transitions }: Machine, { states }: Laid): void {
  const here =
    event.target instanceof Element && event.target.matches('.react-flow__node') ? stateUnder(event.target) : null
  const place = here === null ? undefined : states[here]
  if (!place) return
  const row = Object.entries(states)
    .filter(([, { y }]) => y === place.y)
    .toSorted(([, one], [, other]) => one.x - other.x)
    .map(([name]) => name)
  const at = row.indexOf(here ?? '')
  const to: Record<string, () => string | undefined> = {
    ArrowDown: () => transitions.find(({ from, to: next }) => from === here && next !== here)?.to,
    ArrowUp: () => transitions.find(({ to: next, from }) => next === here && from !== here)?.from,
    ArrowRight: () => row[at + 1],
    ArrowLeft: () => row[at - 1],
  }
  const next = to[event.key]
  if (!next) return
  event.preventDefault()
  event.stopPropagation()
  const name = next()
  if (name !== undefined)
    document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(name)}"]`)?.focus()
}

/** The whole drawing is seen at first, and when somebody asks. */
function useLook({ bounds }: Laid): () => void {
  const { fitBounds, getViewport, setCenter } = useReactFlow()
  const look = useCallback(() => {
    void fitBounds(bounds, { padding: 0.06 }).then(() => {
      const middle = { x: bounds.x + bounds.width / 2, y: bounds.y + bounds.height / 2 }
      if (getViewport().zoom > MAX_ZOOM) void setCenter(middle.x, middle.y, { zoom: MAX_ZOOM })
    })
  }, [bounds, fitBounds, getViewport, setCenter])
  const first = useRef(look)
  useEffect(() => {
    // After the canvas knows its size.
    const frame = requestAnimationFrame(() => first.current())
    return () => cancelAnimationFrame(frame)
  }, [])
  return look
}

/** Of a machine of few states. */
const MAX_ZOOM = 1.1

/** The whole is looked at again when a simulation begins or ends beside it, and takes or leaves room. */
function useLookAgain(look: () => void, isSimulated: boolean): void {
  const was = useRef(isSimulated)
  useEffect(() => {
    if (was.current === isSimulated) return
    was.current = isSimulated
    // The canvas learns of its size a frame later.
    let frame = requestAnimationFrame(() => {
      frame = requestAnimationFrame(look)
    })
    return () => cancelAnimationFrame(frame)
  }, [look, isSimulated])
}

/** What was selected elsewhere, or is simulated, comes into view, with as much around it. */
function useFollowed(selected: string, laid: Laid, margin = 0): void {
  const { getViewport, setCenter, screenToFlowPosition } = useReactFlow()
  const last = useRef(laid)
  last.current = laid
  useEffect(() => {
    const [kind, name] = [selected.split(' ')[0], selected.split(' ').slice(1).join(' ')]
    const state = last.current.states[name]
    const middle =
      kind === 'states'
        ? state && { x: state.x + STATE.width / 2, y: state.y + STATE.height / 2 }
        : last.current.transitions[name]?.label
    const around = document.querySelector('.machine-canvas')?.getBoundingClientRect()
    if (!middle || !around?.width) return
    const start = screenToFlowPosition({ x: around.left + 20, y: around.top + 20 })
    const end = screenToFlowPosition({ x: around.right - 20, y: around.bottom - 20 })
    const isBeside = middle.x - margin < start.x || middle.x + margin > end.x
    const isSeen = !isBeside && middle.y > start.y && middle.y < end.y
    if (!isSeen) void setCenter(middle.x, middle.y, { zoom: getViewport().zoom, duration: 200 })
  }, [selected, margin, getViewport, setCenter, screenToFlowPosition])
}
