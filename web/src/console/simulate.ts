/**
 * What becomes of an instance of a machine, without a process: the rules of the program's core (`workflow/`), said once more for a config that is
 * being written. Both are held to the same courses (`workflow/tests/courses`). Nothing runs: whoever looks says how a step answers, and that a timer is due.
 */
import { hooksOf, type Machine, modulesOf } from './machines.ts'
import { at, list, part, text } from './references.ts'

export type Cause =
  | 'created'
  | 'api'
  | 'automatic'
  | 'accepted'
  | 'rejected'
  | 'failed'
  | 'timer'
  | 'exhausted'
  | 'event'

/** What can happen to an instance. */
export type Input =
  | { what: 'fire'; transition: string; cause: 'api' | 'event' }
  | { what: 'timer'; transition: string }
  | { what: 'step'; step: string; outcome: 'accepted' | 'rejected' | 'permanent' | 'transient' | 'unserved' }

/** A transition that was made. */
export interface Made {
  transition: string
  from: string
  to: string
  cause: Cause
}

/** Something that the instance has others do. */
export interface Started {
  kind: 'step' | 'task' | 'announce' | 'create'
  name: string
  /** Of a step or a task: the how manieth it is. */
  visit: number
}

/** An instance. */
export interface Simulated {
  state: string
  /** Transitions that it has made. */
  version: number
  visits: Readonly<Record<string, number>>
  /** How often the timers of its states were used. */
  firings: Readonly<Record<string, number>>
  /** The attempt that a step is at. */
  attempts: Readonly<Record<string, number>>
  /** Visits in a row that nobody served, up to the last one that has ended, before a state with a deadline. */
  unserved: number
}

/** An instance after something has happened, and what has come of that. */
export interface Outcome {
  now: Simulated
  made: Made[]
  started: Started[]
}

interface Way {
  from: string
  to: string
  isAutomatic: boolean
  after: string | null
  maxAttempts: number | null
  exhausted: string | null
  deadline: string | null
}

interface Step {
  success: string
  compensate: string
  reject: string
  maxRetries: number
}

/** A machine, as the core has it: looked up by where an instance is. */
export interface Simulation {
  initial: string
  initialTransition: string | null
  finals: ReadonlySet<string>
  ways: ReadonlyMap<string, Way>
  steps: ReadonlyMap<string, Step>
  /** By transition, what it starts, and the steps whose earlier answers do not count after it. */
  reactions: ReadonlyMap<string, { started: Omit<Started, 'visit'>[]; voided: string[] }>
  automatic: ReadonlyMap<string, string>
  timers: ReadonlyMap<string, string>
  deadlines: ReadonlyMap<string, string>
}

/** Retries of a step after its first attempt, unless it says otherwise. */
const RETRIES = 2
/** First transition of a new instance, where the machine has it and nothing else is said. */
const USUAL_BEGINNING = 'start_validation'

/** What holds where a variable is not given. */
function filled(written: unknown): string | null {
  return written == null ? null : String(written).replaceAll(/\$\{[^}:]*:-([^}]*)\}/g, '$1')
}

function whole(written: unknown): number | null {
  const number = Number(filled(written) ?? Number.NaN)
  return Number.isInteger(number) ? number : null
}

/** The machine of a config. */
export function simulation(config: unknown, machine: Machine): Simulation {
  const definition = at(config, ...machine.path)
  const ways = new Map<string, Way>()
  for (const [name, written] of Object.entries(part(at(definition, 'transitions'))).toSorted(byName)) {
    ways.set(name, {
      from: text(at(written, 'fromState')) ?? '',
      to: text(at(written, 'toState')) ?? '',
      isAutomatic: at(written, 'autoTransform') === true,
      after: filled(at(written, 'after')),
      maxAttempts: whole(at(written, 'maxAttempts')),
      exhausted: text(at(written, 'exhausted')) ?? null,
      deadline: filled(at(written, 'deadline', 'after')),
    })
  }
  const hooks = hooksOf(config).filter(({ workflow }) => workflow === machine.name)
  const steps = stepsOf(config, new Set(hooks.map(({ handler }) => handler)))
  const from = (fits: (way: Way) => boolean) =>
    new Map([...ways].filter(([, way]) => fits(way)).map(([name, way]) => [way.from, name]))
  return {
    initial: machine.initial,
    initialTransition: beginning(config, machine.name, ways),
    finals: new Set(machine.states.filter(({ isFinal }) => isFinal).map(({ name }) => name)),
    ways,
    steps,
    reactions: reactionsOf(config, { hooks, ways, steps }),
    automatic: from(({ isAutomatic }) => isAutomatic),
    timers: from(({ after }) => after !== null),
    deadlines: from(({ deadline }) => deadline !== null),
  }
}

const byName = ([one]: [string, unknown], [other]: [string, unknown]) => (one < other ? -1 : 1)

function stepsOf(config: unknown, started: ReadonlySet<string>): Map<string, Step> {
  const all = modulesOf(config, 'processing.step').filter(({ name }) => started.has(name))
  const told = all.map(({ name, config: own }): [string, Step] => {
    const compensate = text(at(own, 'compensateTransition')) ?? ''
    const reject = text(at(own, 'rejectTransition')) ?? compensate
    const success = text(at(own, 'successTransition')) ?? ''
    return [name, { success, compensate, reject, maxRetries: whole(at(own, 'maxRetries')) ?? RETRIES }]
  })
  return new Map(told.toSorted(byName))
}

function beginning(config: unknown, workflow: string, ways: ReadonlyMap<string, Way>): string | null {
  const handlers = modulesOf(config, 'api.handler').filter((one) => text(at(one.config, 'workflowType')) === workflow)
  const names = new Set(handlers.map(({ name }) => name))
  const routes = list(at(config, 'workflows', 'http', 'routes')).filter((one) =>
    names.has(text(at(one, 'handler')) ?? ''),
  )
  const isOf = (trigger: unknown, route: unknown) =>
    ['method', 'path'].every((key) => text(at(trigger, key)) === text(at(route, key)))
  const creating = list(at(config, 'triggers', 'http', 'routes')).filter(
    (trigger) => creates(text(at(trigger, 'path')) ?? '') && routes.some((route) => isOf(trigger, route)),
  )
  const told = [
    ...handlers.map((one) => text(at(one.config, 'initialTransition'))),
    ...creating.map((trigger) => text(at(trigger, 'action'))),
  ]
  const named = told.find((name) => name !== undefined && name !== '' && ways.has(name))
  return named ?? (ways.has(USUAL_BEGINNING) ? USUAL_BEGINNING : null)
}

/** `POST /things` makes one; `POST /things/{id}/ship` asks something of one. */
function creates(path: string): boolean {
  const [last = '', before = ''] = path.split('/').toReversed()
  return !last.startsWith('{') && !before.startsWith('{')
}

type Parts = Pick<Simulation, 'ways' | 'steps'> & { hooks: ReturnType<typeof hooksOf> }

const KINDS: Readonly<Record<string, Started['kind']>> = {
  'processing.step': 'step',
  'dynamic.component': 'task',
  'messaging.handler': 'announce',
  'api.handler': 'create',
}

function reactionsOf(config: unknown, parts: Parts): Simulation['reactions'] {
  const kinds = new Map(
    list(at(config, 'modules')).map((module) => [text(at(module, 'name')), KINDS[text(at(module, 'type')) ?? '']]),
  )
  const implied = impliedBy(parts, kinds)
  const found = new Map<string, { started: Omit<Started, 'visit'>[]; voided: string[] }>()
  for (const [name, way] of parts.ways) {
    const started = new Map<string, Omit<Started, 'visit'>>()
    const start = (handler: string, kind: Started['kind'] | undefined) => {
      if (kind && (kind !== 'step' || parts.steps.has(handler)))
        started.set(`${kind} ${handler}`, { kind, name: handler })
    }
    for (const { handler, matches } of parts.hooks) if (matches({ name, ...way })) start(handler, kinds.get(handler))
    const step = implied.get(name)
    if (step !== undefined) start(step, 'step')
    const answers = [...parts.steps].filter(([, { success }]) => parts.ways.get(success)?.from === way.to)
    const voided = answers.map(([own]) => own).filter((own) => !started.has(`step ${own}`))
    found.set(name, { started: [...started.values()], voided })
  }
  return found
}

/** Where nothing but an answer leads out of a state, whoever enters it starts the one step that hooks name there. */
function impliedBy(
  { ways, steps, hooks }: Parts,
  kinds: ReadonlyMap<string | undefined, string | undefined>,
): Map<string, string> {
  const answers = new Set(
    [...steps.values()].flatMap(({ success, compensate, reject }) => [success, compensate, reject]),
  )
  const leaving = new Map<string, boolean>()
  for (const [name, { from, isAutomatic }] of ways)
    leaving.set(from, (leaving.get(from) ?? true) && answers.has(name) && !isAutomatic)
  const named = (name: string, way: Way) =>
    hooks
      .filter(({ handler, matches }) => kinds.get(handler) === 'step' && matches({ name, ...way }))
      .map(({ handler }) => handler)
  const implied = new Map<string, string>()
  for (const state of [...leaving].filter(([, isAwaited]) => isAwaited).map(([state]) => state)) {
    const entering = [...ways].filter(([, { to }]) => to === state)
    const all = new Set(entering.flatMap(([name, way]) => named(name, way)))
    const [only] = all
    if (all.size !== 1 || only === undefined) continue
    for (const [name, way] of entering) if (named(name, way).length === 0) implied.set(name, only)
  }
  return implied
}

/** A new instance. */
export function created(machine: Simulation): Outcome {
  const course = new Course(machine, {
    state: machine.initial,
    version: 0,
    visits: {},
    firings: {},
    attempts: {},
    unserved: 0,
  })
  if (machine.initialTransition !== null) course.fire(machine.initialTransition, 'created')
  return course.settle()
}

/** What follows from an input; `null` where it does not fit where the instance is. */
export function advanced(machine: Simulation, now: Simulated, input: Input): Outcome | null {
  const course = new Course(machine, now)
  if (input.what === 'step') return answered(course, input)
  const way = machine.ways.get(input.transition)
  if (way?.from !== now.state) return null
  if (input.what === 'timer' && way.after === null && way.deadline === null) return null
  course.fireCounted(input.transition, input.what === 'timer' ? 'timer' : input.cause)
  return course.settle()
}

function answered(course: Course, { step: name, outcome }: Extract<Input, { what: 'step' }>): Outcome | null {
  const { machine, now } = course
  const step = machine.steps.get(name)
  if (!step || (now.visits[name] ?? 0) === 0 || machine.ways.get(step.success)?.from !== now.state) return null
  const attempt = now.attempts[name] ?? 1
  if ((outcome === 'transient' || outcome === 'unserved') && attempt <= step.maxRetries) {
    return { now: { ...now, attempts: { ...now.attempts, [name]: attempt + 1 } }, made: [], started: [] }
  }
  if (outcome === 'accepted') course.fire(step.success, 'accepted')
  else if (outcome === 'rejected') course.fire(step.reject, 'rejected')
  else course.fire(step.compensate, 'failed')
  course.serve(outcome !== 'unserved', machine.ways.get(step.success)?.from ?? '')
  return course.settle()
}

/** An instance on its way from one rest to the next. */
class Course {
  readonly machine: Simulation
  now: Simulated
  readonly made: Made[] = []
  readonly started: Started[] = []

  constructor(machine: Simulation, now: Simulated) {
    this.machine = machine
    this.now = now
  }

  fire(transition: string, cause: Cause): void {
    const way = this.machine.ways.get(transition)
    if (!way) return
    this.made.push({ transition, from: way.from, to: way.to, cause })
    this.now = { ...this.now, state: way.to, version: this.now.version + 1 }
    const { started, voided } = this.machine.reactions.get(transition) ?? { started: [], voided: [] }
    for (const one of started) this.started.push({ ...one, visit: this.#start(one) })
    for (const step of voided) if (this.now.visits[step]) this.#visit(step)
  }

  /** By a timer, or by somebody who does not wait for it: both use its attempts up. */
  fireCounted(transition: string, cause: Cause): void {
    if (this.machine.ways.get(transition)?.after != null) {
      const firings = { ...this.now.firings, [transition]: (this.now.firings[transition] ?? 0) + 1 }
      this.now = { ...this.now, firings }
    }
    this.fire(transition, cause)
  }

  /**
   * A visit has ended, and whether anybody served it. Before a state with a deadline it was no attempt where nobody did: what the timer of
   * that state has made to get back to `tried` does not count.
   */
  serve(isServed: boolean, tried: string): void {
    if (isServed || !this.machine.deadlines.has(this.now.state)) {
      this.now = { ...this.now, unserved: 0 }
      return
    }
    this.now = { ...this.now, unserved: this.now.unserved + 1 }
    const timer = this.machine.timers.get(this.now.state)
    const way = timer === undefined ? undefined : this.machine.ways.get(timer)
    if (timer === undefined || way?.to !== tried || way.maxAttempts === null) return
    const made = this.now.firings[timer]
    if (made) this.now = { ...this.now, firings: { ...this.now.firings, [timer]: made - 1 } }
  }

  /** Makes what does not wait. It ends also for a machine whose transitions go round: the checker tells of these. */
  settle(): Outcome {
    for (let left = this.machine.ways.size; left > 0; left--) {
      const next = this.#atOnce()
      if (!next) break
      this.fire(...next)
    }
    return { now: this.now, made: this.made, started: this.started }
  }

  #atOnce(): [string, Cause] | null {
    const automatic = this.machine.automatic.get(this.now.state)
    if (automatic !== undefined) return [automatic, 'automatic']
    const timer = this.machine.timers.get(this.now.state)
    const way = timer === undefined ? undefined : this.machine.ways.get(timer)
    if (timer === undefined || way?.maxAttempts == null || way.exhausted === null) return null
    return (this.now.firings[timer] ?? 0) < way.maxAttempts ? null : [way.exhausted, 'exhausted']
  }

  #start({ kind, name }: Omit<Started, 'visit'>): number {
    return kind === 'step' || kind === 'task' ? this.#visit(name) : 0
  }

  #visit(name: string): number {
    const visit = (this.now.visits[name] ?? 0) + 1
    this.now = {
      ...this.now,
      visits: { ...this.now.visits, [name]: visit },
      attempts: { ...this.now.attempts, [name]: 1 },
    }
    return visit
  }
}

/** Something that can happen where an instance is, in words. */
export interface Choice {
  input: Input
  /** Short, as on a button. */
  label: string
  /** Where it leads, or that it is tried again. */
  leads: string
  /** The transition that it makes. */
  transition: string | null
}

/** All that can happen now; nothing where it has ended. */
export function choices(machine: Simulation, now: Simulated): Choice[] {
  return [...stepChoices(machine, now), ...timerChoices(machine, now), ...firedChoices(machine, now)]
}

function stepChoices(machine: Simulation, now: Simulated): Choice[] {
  const to = (transition: string) => `to ${machine.ways.get(transition)?.to ?? '?'}`
  return [...machine.steps].flatMap(([name, step]) => {
    if ((now.visits[name] ?? 0) === 0 || machine.ways.get(step.success)?.from !== now.state) return []
    const attempt = now.attempts[name] ?? 1
    const isLast = attempt > step.maxRetries
    const answer = (
      outcome: Extract<Input, { what: 'step' }>['outcome'],
      label: string,
      transition: string,
    ): Choice => ({
      input: { what: 'step', step: name, outcome },
      label: `${name} ${label}`,
      leads: to(transition),
      transition,
    })
    const again = `tried again: attempt ${attempt + 1} of ${step.maxRetries + 1}`
    const passing = (outcome: 'transient' | 'unserved', label: string, last: string): Choice =>
      isLast
        ? answer(outcome, last, step.compensate)
        : { ...answer(outcome, label, step.compensate), leads: again, transition: null }
    return [
      answer('accepted', 'accepts', step.success),
      answer('rejected', 'refuses', step.reject),
      answer('permanent', 'fails for good', step.compensate),
      passing('transient', 'breaks off', 'breaks off the last time'),
      passing('unserved', 'gets no answer from what it calls', 'gets no answer from what it calls the last time'),
    ]
  })
}

function timerChoices(machine: Simulation, now: Simulated): Choice[] {
  const timer = machine.timers.get(now.state)
  const deadline = machine.deadlines.get(now.state)
  const choice = (transition: string, label: string): Choice => ({
    input: { what: 'timer', transition },
    label,
    leads: `to ${machine.ways.get(transition)?.to ?? '?'}`,
    transition,
  })
  const found: Choice[] = []
  const way = timer === undefined ? undefined : machine.ways.get(timer)
  if (timer !== undefined && way) {
    const time = (now.firings[timer] ?? 0) + 1
    const times = way.maxAttempts === null ? '' : ` (${time} of ${way.maxAttempts})`
    const longer = now.unserved > 1 && canGrow(way.after) ? ', longer than before, two minutes at most,' : ''
    found.push(choice(timer, `${way.after}${longer} pass${times}`))
  }
  if (deadline !== undefined)
    found.push(choice(deadline, `the deadline passes (${machine.ways.get(deadline)?.deadline})`))
  return found
}

/** What visits in a row that nobody served make a wait at most, unless its timer says more by itself: in seconds. */
const UNSERVED_WAIT = 120

/** Whether visits that nobody served make this wait longer; not so of one that cannot be read. */
function canGrow(after: string | null): boolean {
  const parts = [...(after ?? '').matchAll(/([\d.]+)\s*([a-zµ]+)/gi)]
  const seconds = parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * secondsOf(unit), 0)
  return parts.length > 0 && seconds < UNSERVED_WAIT
}

/** How long a unit of time in a config is. Those from an hour on are too long to be told apart. */
function secondsOf(unit: string): number {
  if (/^(n|u|µ)/.test(unit)) return 0
  if (/^(ms|msec|millis)$/.test(unit)) return 0.001
  if (/^(s|secs?|seconds?)$/.test(unit)) return 1
  return /^(m|mins?|minutes?)$/.test(unit) ? 60 : 3600
}

/** What somebody asks for, or an event brings; what a timer does anybody may do sooner. */
function firedChoices(machine: Simulation, now: Simulated): Choice[] {
  const answers = new Set(
    [...machine.steps.values()].flatMap(({ success, compensate, reject }) => [success, compensate, reject]),
  )
  const used = new Set([...machine.ways.values()].map(({ exhausted }) => exhausted))
  return [...machine.ways].flatMap(([transition, way]): Choice[] => {
    if (way.from !== now.state || way.isAutomatic || answers.has(transition) || used.has(transition)) return []
    if (way.after !== null || way.deadline !== null) return []
    return [{ input: { what: 'fire', transition, cause: 'api' }, label: transition, leads: `to ${way.to}`, transition }]
  })
}

/** An instance as far as it has come. */
export interface Walk {
  outcomes: Outcome[]
  /** What has happened to it; what does not fit a machine that was changed meanwhile is left out, with what came after. */
  inputs: Input[]
  now: Simulated
}

/** A new instance, to which these have happened. */
export function walked(machine: Simulation, inputs: readonly Input[]): Walk {
  const outcomes = [created(machine)]
  const fitting: Input[] = []
  let now = outcomes[0]?.now ?? created(machine).now
  for (const input of inputs) {
    const outcome = advanced(machine, now, input)
    if (!outcome) break
    outcomes.push(outcome)
    fitting.push(input)
    now = outcome.now
  }
  return { outcomes, inputs: fitting, now }
}
