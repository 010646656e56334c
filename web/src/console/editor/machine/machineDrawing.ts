/** The drawing of a machine: boxes for states and lines for transitions, made from what the text says. */
import { type Edge as Line, MarkerType, type Node } from '@xyflow/react'
import type { Model } from '../../lens.ts'
import { type Laid, laidOut, STATE } from '../../machineLayout.ts'
import type { Machine, Maker, State, StepOutcome, Transition } from '../../machines.ts'
import type { Path } from '../../source.ts'
import { handlesOf } from '../drawing.ts'
import { pathAt } from '../selection.ts'

export interface StateData extends Record<string, unknown> {
  name: string
  description: string
  isInitial: boolean
  isFinal: boolean
  isError: boolean
  /** The step whose answer leads out of it. */
  awaits: string | null
  problems: number
  /** What is there in a run of the machine, or in the process. */
  mark: Mark | null
}
export interface Mark {
  kind: 'here' | 'been' | 'count'
  text: string
  told: string
}
export type StateNode = Node<StateData, 'state'>

export interface TransitionData extends Record<string, unknown> {
  name: string
  makers: readonly Maker[]
  path: string
  label: { x: number; y: number }
  problems: number
  /** Where it is written. */
  at: Path
}
export type TransitionLine = Line<TransitionData, 'transition'>

const ANSWERS: Readonly<Record<StepOutcome, string>> = {
  success: 'accepts',
  compensate: 'refuses or fails',
  reject: 'refuses',
  failure: 'fails',
}

const WORDS: { readonly [By in Maker['by']]: (maker: Extract<Maker, { by: By }>) => string } = {
  automatic: () => 'at once, by itself',
  timer: ({ after, maxAttempts, exhausted }) =>
    `after ${after}${maxAttempts ? `, ${maxAttempts} times at most` : ''}${exhausted ? `, then ${exhausted}` : ''}`,
  deadline: ({ after, since }) => `at the latest ${after} after ${since || 'it began'}`,
  exhausted: ({ transition }) => `when ${transition} is used up`,
  step: ({ step, outcome }) => `when ${step} ${ANSWERS[outcome]}`,
  event: ({ topic, event }) => `on the event ${event || topic}`,
  request: ({ method, path }) => `by ${method} ${path}`,
  action: ({ handler, action }) => `by the action ${action} of ${handler}`,
  creation: ({ handler }) => `when ${handler} creates one`,
}

/** Who makes a transition, in words. */
export function madeBy(maker: Maker): string {
  return (WORDS[maker.by] as (one: Maker) => string)(maker)
}

export function toldOfTransition({ name, from, to, makers }: Transition): string {
  return [`Transition ${name}, from ${from} to ${to}`, ...makers.map(madeBy)].join(', ')
}

export function toldOfState(machine: Machine, state: State): string {
  const { name, description, isFinal, isError, awaits } = state
  const leaving = machine.transitions.filter(({ from }) => from === name).length
  const kinds = [
    machine.initial === name ? 'initial' : '',
    isFinal ? 'final' : '',
    isError ? 'a failure' : '',
    awaits ? `waits for ${awaits}` : '',
  ]
  return [
    `State ${name}`,
    ...kinds,
    description,
    `${leaving} ${leaving === 1 ? 'transition leaves' : 'transitions leave'} it`,
  ]
    .filter(Boolean)
    .join(', ')
}

/** How many instances the process has in each state of a workflow, as marks. A state without any has none. */
export function countMarks(states: Readonly<Record<string, number>>): ReadonlyMap<string, Mark> {
  return new Map(
    Object.entries(states)
      .filter(([, count]) => count > 0)
      .map(([name, count]): [string, Mark] => [
        name,
        {
          kind: 'count',
          text: FIGURES.format(count),
          told: `${count} ${count === 1 ? 'instance is' : 'instances are'} here now`,
        },
      ]),
  )
}

const FIGURES = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** What of a timer is written on its line. */
export function shortly(makers: readonly Maker[]): string {
  const timer = makers.find((maker) => maker.by === 'timer')
  if (timer) return timer.maxAttempts ? `${filled(timer.after)} ×${filled(timer.maxAttempts)}` : filled(timer.after)
  return filled(makers.find((maker) => maker.by === 'deadline')?.after ?? '')
}

/** What holds where a variable is not given. */
function filled(written: string): string {
  return written.replaceAll(/\$\{[^}:]*:-([^}]*)\}/g, '$1')
}

/** Room of what is written on a line: the browser is not asked, so that a machine is drawn the same way everywhere. */
function widthOf({ name, makers }: Transition): number {
  const short = shortly(makers)
  return 22 + new Set(makers.map(({ by }) => by)).size * 17 + (name.length + (short ? short.length + 1 : 0)) * 6.9
}

export function layout(machine: Machine): Laid {
  return laidOut({
    initial: machine.initial,
    states: machine.states.map(({ name }) => name),
    transitions: machine.transitions.map((one) => ({
      name: one.name,
      from: one.from,
      to: one.to,
      width: widthOf(one),
    })),
  })
}

const HANDLES = handlesOf(STATE)

/** How many problems each state and transition has, by its kind and name. */
export function problemsIn(
  model: Model,
  { path }: Machine,
  problems: readonly { from: number }[],
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { from } of problems) {
    const at = pathAt(model, from)
    if (!path.every((step, index) => step === at[index])) continue
    const key = at.slice(path.length, path.length + 2).join(' ')
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

interface Seen {
  /** The state or the transition that is selected. */
  selected: string
  problems: ReadonlyMap<string, number>
  marks: ReadonlyMap<string, Mark>
}

/** What of the transitions is seen in a run of the machine. */
export interface Ways {
  /** Those that can be made now. */
  open: ReadonlySet<string>
  /** Those that were made. */
  made: ReadonlySet<string>
}

export function stateNodes(machine: Machine, laid: Laid, { selected, problems, marks }: Seen): StateNode[] {
  return machine.states.map((state) => {
    const { name, description, isFinal, isError, awaits } = state
    const count = problems.get(`states ${name}`) ?? 0
    const mark = marks.get(name) ?? null
    const told = [toldOfState(machine, state), mark?.told, count > 0 ? counted(count) : ''].filter(Boolean).join(', ')
    return {
      id: name,
      type: 'state',
      position: laid.states[name] ?? { x: 0, y: 0 },
      data: { name, description, isInitial: machine.initial === name, isFinal, isError, awaits, problems: count, mark },
      selected: selected === `states ${name}`,
      ariaLabel: told,
      handles: HANDLES,
      ...STATE,
      measured: STATE,
    }
  })
}

export function transitionLines(machine: Machine, laid: Laid, seen: Seen, ways: Ways): TransitionLine[] {
  const { selected, problems } = seen
  return machine.transitions.flatMap((transition): TransitionLine[] => {
    const { name, from, to, makers } = transition
    const drawn = laid.transitions[name]
    if (!drawn) return []
    const count = problems.get(`transitions ${name}`) ?? 0
    const isSelected = selected === `transitions ${name}`
    const isNear = isSelected || selected === `states ${from}` || selected === `states ${to}`
    const inRun = wayIn(ways, name)
    const kind = kindOf(machine, transition)
    return [
      {
        id: name,
        type: 'transition',
        source: from,
        target: to,
        data: { name, makers, ...drawn, problems: count, at: transition.path },
        selected: isSelected,
        className: `way way-${kind}${isNear ? ' way-near' : ''}${inRun.className}`,
        ariaLabel: [toldOfTransition(transition), ...inRun.told, ...(count > 0 ? [counted(count)] : [])].join(', '),
        markerEnd: { type: MarkerType.ArrowClosed, width: 15, height: 15, color: `var(--way-${kind})` },
        zIndex: isNear ? 1 : 0,
      },
    ]
  })
}

/** What a run of the machine has to do with a transition. */
function wayIn({ open, made }: Ways, name: string): { className: string; told: string[] } {
  const kinds = [
    { is: open.has(name), className: ' way-open', told: 'it can be made now' },
    { is: made.has(name), className: ' way-made', told: 'it was made' },
  ].filter(({ is }) => is)
  return { className: kinds.map(({ className }) => className).join(''), told: kinds.map(({ told }) => told) }
}

/** What a line is coloured by, beside what is written on it. */
function kindOf({ states }: Machine, { to, makers }: Transition): string {
  if (makers.some((maker) => maker.by === 'step' && maker.outcome !== 'success')) return 'failure'
  if (states.find(({ name }) => name === to)?.isError) return 'failure'
  return makers[0]?.by ?? 'none'
}

export function counted(count: number): string {
  return `${count} ${count === 1 ? 'problem' : 'problems'}`
}
