/** One machine: as a drawing, or as a table that says and does the same. */
import './MachineView.css'
import { useCallback, useMemo, useState } from 'react'
import { dropComponent } from '../../machineCommands.ts'
import type { Machine } from '../../machines.ts'
import { useLive } from '../../operator/live'
import { perform, select, useEditor, useModel } from '../documents.ts'
import { useProblems } from '../problems.ts'
import { Counts } from './Counts.tsx'
import { MachineCanvas } from './MachineCanvas.tsx'
import type { Asked } from './MachineDialogs.tsx'
import { MachineTable } from './MachineTable.tsx'
import { countMarks, type Mark, problemsIn, type Ways } from './machineDrawing.ts'
import { Simulator, useRun } from './Simulator.tsx'

/** What is dragged on a state. */
export const COMPONENT = 'application/x-millrace-component'
const NO_MARKS: ReadonlyMap<string, Mark> = new Map()
const NO_WAYS: Ways = { open: new Set(), made: new Set() }

interface Props {
  workflow: string
  /** What is to be added is asked. */
  onAsk: (asked: Asked) => void
}

export function MachineView({ workflow, onAsk }: Props) {
  const model = useModel()
  const machine = model.machines.find(({ name }) => name === workflow)
  const [isTable, setTable] = useState(false)
  const [isSimulated, setSimulated] = useState(false)
  const run = useRun(machine, isSimulated)
  const { live } = useLive()
  const states = live?.workflows[workflow]?.states
  const counts = useMemo(() => (states ? countMarks(states) : NO_MARKS), [states])
  const marks = run?.marks ?? counts
  const { problems } = useProblems()
  const own = useMemo(
    () => (machine ? problemsIn(model, machine, problems) : new Map<string, number>()),
    [model, machine, problems],
  )
  if (!machine) return <NoMachine workflow={workflow} />
  return (
    <div className="machine">
      <MachineBar
        machine={machine}
        isTable={isTable}
        onTable={setTable}
        isSimulated={isSimulated}
        onSimulated={setSimulated}
        onAsk={onAsk}
      />
      <div className={run ? 'machine-simulated' : 'machine-seen'}>
        {isTable ? (
          <MachineTable machine={machine} problems={own} marks={marks} />
        ) : (
          <MachineCanvas
            key={workflow}
            machine={machine}
            problems={own}
            marks={marks}
            ways={run ?? NO_WAYS}
            onAsk={onAsk}
          />
        )}
        {run && <Simulator key={workflow} machine={machine} run={run} />}
      </div>
    </div>
  )
}

function NoMachine({ workflow }: { workflow: string }) {
  return (
    <p className="machine-missing" role="status">
      This config has no machine named {workflow}. Machines are added with a State Machine: select it, and choose “Add a
      machine”.
    </p>
  )
}

interface BarProps {
  machine: Machine
  isTable: boolean
  onTable: (isTable: boolean) => void
  isSimulated: boolean
  onSimulated: (isSimulated: boolean) => void
  onAsk: (asked: Asked) => void
}

function MachineBar({ machine, isTable, onTable, isSimulated, onSimulated, onAsk }: BarProps) {
  const state = useSelectedState(machine)
  return (
    <div className="machine-bar" role="toolbar" aria-label="Machine">
      <button type="button" className="machine-tool" aria-pressed={isTable} onClick={() => onTable(!isTable)}>
        Table
      </button>
      <button
        type="button"
        className="machine-tool"
        aria-pressed={isSimulated}
        onClick={() => onSimulated(!isSimulated)}
      >
        Simulate
      </button>
      <button type="button" className="machine-tool" onClick={() => onAsk({ what: 'state', after: state })}>
        Add a state
      </button>
      <button
        type="button"
        className="machine-tool"
        onClick={() => onAsk({ what: 'transition', from: state, to: null })}
        title="C"
      >
        Add a transition
      </button>
      {!isTable && <Components />}
      {!isSimulated && <Counts machine={machine} selected={state} />}
    </div>
  )
}

/** The state that is selected, or that the selected transition leaves. */
export function useSelectedState(machine: Machine): string | null {
  return useEditor(({ selection }) => stateIn(machine, selection.path))
}

export function stateIn({ path, transitions }: Machine, at: readonly (string | number)[] | null): string | null {
  if (!at || !path.every((step, index) => step === at[index])) return null
  const [kind, name] = [at[path.length], at[path.length + 1]]
  if (kind === 'states' && name !== undefined) return String(name)
  return transitions.find((one) => kind === 'transitions' && one.name === name)?.from ?? null
}

/** To be dragged on a state; in the form of a state the same is “Run a component here”. */
function Components() {
  const { modules } = useModel()
  const components = modules.filter(({ type }) => type === 'dynamic.component')
  if (components.length === 0) return null
  return (
    <details className="machine-components">
      <summary>Components</summary>
      <p>Drag one on the state that is to wait for it.</p>
      <ul>
        {components.map(({ name }) => (
          <li
            key={name}
            draggable
            onDragStart={({ dataTransfer }) => {
              dataTransfer.setData(COMPONENT, name)
              dataTransfer.effectAllowed = 'copy'
            }}
          >
            {name}
          </li>
        ))}
      </ul>
    </details>
  )
}

/** Runs a component in a state: one gesture, that writes the step, the hook and both transitions. */
export function useDrop(machine: Machine): (component: string, state: string) => void {
  return useCallback(
    (component: string, state: string) => {
      const made = perform((now) => dropComponent(now, { workflow: machine.name, state, component }))
      if (made) select({ path: [...machine.path, 'states', state] })
    },
    [machine],
  )
}
