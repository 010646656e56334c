/** One instance of a machine, by hand: what happens to it is chosen, and where it goes is seen on the drawing. Nothing runs, and nothing is written. */
import './Simulator.css'
import { useEffect, useMemo, useRef, useState } from 'react'
import type { Machine } from '../../machines.ts'
import {
  type Choice,
  choices,
  type Input,
  type Made,
  type Outcome,
  simulation,
  type Walk,
  walked,
} from '../../simulate.ts'
import { useModel } from '../documents.ts'
import type { Mark } from './machineDrawing.ts'

export interface Run {
  walk: Walk
  choices: Choice[]
  /** Where it is and where it was, for the drawing and the table. */
  marks: ReadonlyMap<string, Mark>
  /** Transitions that can be made now. */
  open: ReadonlySet<string>
  /** Transitions that were made. */
  made: ReadonlySet<string>
  choose: (input: Input) => void
  back: () => void
  begin: () => void
}

const NONE: readonly Input[] = []

/** `null` while nobody simulates. What has happened is kept when the text changes, as far as it still fits, and is that of one machine. */
export function useRun(machine: Machine | undefined, isOn: boolean): Run | null {
  const { source } = useModel()
  const [kept, setKept] = useState<{ of: string; inputs: readonly Input[] } | null>(null)
  const inputs = machine && kept?.of === machine.name ? kept.inputs : NONE
  return useMemo(() => {
    if (!machine || !isOn) return null
    const setInputs = (inputs: readonly Input[]) => setKept({ of: machine.name, inputs })
    const rules = simulation(source.value, machine)
    const walk = walked(rules, inputs)
    const possible = choices(rules, walk.now)
    const made = walk.outcomes.flatMap((outcome) => outcome.made)
    return {
      walk,
      choices: possible,
      marks: marksOf(walk, made),
      open: new Set(possible.flatMap(({ transition }) => transition ?? [])),
      made: new Set(made.map(({ transition }) => transition)),
      choose: (input) => setInputs([...walk.inputs, input]),
      back: () => setInputs(walk.inputs.slice(0, -1)),
      begin: () => setInputs([]),
    }
  }, [source, machine, isOn, inputs])
}

function marksOf({ now }: Walk, made: readonly Made[]): Map<string, Mark> {
  const times = new Map<string, number>()
  for (const { from } of made) times.set(from, (times.get(from) ?? 0) + 1)
  const marks = [...times].map(([state, count]): [string, Mark] => [
    state,
    { kind: 'been', text: `${count}×`, told: `the simulated one was here ${timesOf(count)}` },
  ])
  return new Map([...marks, [now.state, { kind: 'here', text: 'here', told: 'the simulated one is here' }]])
}

function timesOf(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

export function Simulator({ machine, run }: { machine: Machine; run: Run }) {
  const { walk, choices: possible } = run
  const first = useRef<HTMLButtonElement>(null)
  const status = useRef<HTMLParagraphElement>(null)
  const steps = walk.inputs.length
  const before = useRef(steps)
  useEffect(() => {
    // The button that was pressed is gone: what can happen next is what is wanted.
    if (before.current !== steps) (first.current ?? status.current)?.focus()
    before.current = steps
  }, [steps])
  return (
    <section className="simulator" aria-labelledby="simulator">
      <h2 id="simulator">One instance, by hand</h2>
      <p ref={status} tabIndex={-1} role="status" className="simulator-here">
        {toldOf(machine, walk)}
      </p>
      <h3>{possible.length > 0 ? 'What happens next?' : 'It goes nowhere from here.'}</h3>
      <ul className="simulator-choices">
        {possible.map((choice, index) => (
          <li key={JSON.stringify(choice.input)}>
            <button type="button" ref={index === 0 ? first : undefined} onClick={() => run.choose(choice.input)}>
              <b>{choice.label}</b> <span>{choice.leads}</span>
            </button>
          </li>
        ))}
      </ul>
      <div className="simulator-tools">
        <button type="button" className="machine-tool" disabled={steps === 0} onClick={run.back}>
          Step back
        </button>
        <button type="button" className="machine-tool" disabled={steps === 0} onClick={run.begin}>
          From the beginning
        </button>
      </div>
      <h3>Its way so far</h3>
      <ol className="simulator-way">
        {walk.outcomes.map((outcome, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a way only grows at its end
          <li key={index}>{wordsOf(outcome, walk.inputs[index - 1])}</li>
        ))}
      </ol>
    </section>
  )
}

function toldOf({ states, initial }: Machine, { now, inputs }: Walk): string {
  const state = states.find(({ name }) => name === now.state)
  const kinds = [state?.isFinal ? 'the end' : '', state?.isError ? 'a failure' : ''].filter(Boolean)
  const end = kinds.length > 0 ? `, ${kinds.join(', ')}` : ''
  const waits = state?.awaits && !state.isFinal ? `; it waits for ${state.awaits}` : ''
  return inputs.length === 0 && now.state === initial
    ? `It begins in ${now.state}${end}${waits}.`
    : `It is in ${now.state}${end}${waits}.`
}

const CAUSES: Readonly<Record<Made['cause'], string>> = {
  created: 'when it is made',
  api: 'by hand',
  automatic: 'at once',
  accepted: 'since it was accepted',
  rejected: 'since it was refused',
  failed: 'since it failed',
  timer: 'since its time had come',
  exhausted: 'since the attempts are used up',
  event: 'by an event',
}

/** What has come of one input. */
function wordsOf({ made, started }: Outcome, input: Input | undefined): string {
  if (made.length === 0) {
    if (input?.what !== 'step') return 'It was made'
    return `${input.step} ${input.outcome === 'unserved' ? 'got no answer' : 'broke off'} and is tried again`
  }
  const ways = made.map(({ transition, to, cause }) => `${transition} to ${to}, ${CAUSES[cause]}`)
  const starts = started.map(({ kind, name, visit }) => {
    if (kind === 'announce') return `${name} tells of it`
    if (kind === 'create') return `${name} makes one of its own`
    return visit > 1 ? `${name} is started, for time ${visit}` : `${name} is started`
  })
  return [...ways, ...starts].join('; ')
}
