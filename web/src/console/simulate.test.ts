/**
 * The simulator does what the program does: courses of instances, each with what happens and what comes of it, that both are held to
 * (`host/tests/config/courses.rs` reads the same files). `COURSES=write npm test` writes them anew, by this side; the other one then judges.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lens } from './lens.ts'
import {
  advanced,
  choices,
  created,
  type Input,
  type Outcome,
  type Simulated,
  type Simulation,
  simulation,
  walked,
} from './simulate.ts'
import { repository } from './testing/corpus.ts'

const FOLDER = join(repository, 'workflow/tests/courses')

interface Rest {
  state: string
  made: [string, string][]
  started: [string, string, number][]
}

interface Course {
  inputs: Input[]
  rests: (Rest | null)[]
}

interface Courses {
  config: string
  workflow: string
  created: Rest
  courses: Course[]
}

const CONFIGS = [
  'configs/monolith.yaml',
  'configs/examples/languages.yaml',
  'host/tests/config/valid/returns.yaml',
  'host/tests/config/valid/original-orders.yaml',
  'host/tests/config/valid/original-style.yaml',
]

function machinesOf(config: string): Map<string, Simulation> {
  const { source, machines } = lens(readFileSync(join(repository, config), 'utf8'))
  return new Map(machines.map((machine) => [machine.name, simulation(source.value, machine)]))
}

function rest({ now, made, started }: Outcome): Rest {
  return {
    state: now.state,
    made: made.map(({ transition, cause }) => [transition, cause]),
    started: started.map(({ kind, name, visit }) => [kind, name, visit]),
  }
}

/** The same numbers each time. */
function* numbers(): Generator<number> {
  for (let state = 12345; ; ) {
    state = (state * 1103515245 + 12345) % 2147483648
    yield state / 2147483648
  }
}

function written(config: string, workflow: string, machine: Simulation): Courses {
  const random = numbers()
  const pick = <T>(all: readonly T[]): T | undefined => all[Math.floor((random.next().value ?? 0) * all.length)]
  const anything = [...machine.ways.keys()].map((transition): Input => ({ what: 'fire', transition, cause: 'event' }))
  const next = (now: Simulated): Input | undefined => {
    const possible = choices(machine, now).map(({ input }) => input)
    return pick((random.next().value ?? 0) < 0.1 || possible.length === 0 ? anything : possible)
  }
  const walk = () => course(machine, (now, inputs) => (inputs.length < 30 ? next(now) : undefined))
  const courses = [...Array.from({ length: 12 }, walk), ...wornOut(machine)]
  return { config, workflow, created: rest(created(machine)), courses }
}

/** What happens, one after the other, and what comes of each. */
function course(machine: Simulation, next: (now: Simulated, inputs: readonly Input[]) => Input | undefined): Course {
  let now = created(machine).now
  const [inputs, rests]: [Input[], (Rest | null)[]] = [[], []]
  for (let input = next(now, inputs); input; input = next(now, inputs)) {
    const outcome = advanced(machine, now, input)
    inputs.push(input)
    rests.push(outcome && rest(outcome))
    if (!outcome && choices(machine, now).length === 0) break
    now = outcome?.now ?? now
  }
  return { inputs, rests }
}

/** Visits that nobody serves, more than a timer has attempts, and then refusals until these are used up: of each step that a timer has tried again. */
function wornOut(machine: Simulation): Course[] {
  return [...machine.timers].flatMap(([failed, timer]) => {
    const way = machine.ways.get(timer)
    const found = [...machine.steps].find(([, { success }]) => machine.ways.get(success)?.from === way?.to)
    if (!way || way.maxAttempts === null || way.exhausted === null || !found) return []
    const [step, { maxRetries }] = found
    const unserved = (way.maxAttempts + 1) * (maxRetries + 1)
    const next = (now: Simulated, inputs: readonly Input[]): Input | undefined => {
      if (now.state === failed) return { what: 'timer', transition: timer }
      const seen = inputs.filter((input) => input.what === 'step' && input.step === step).length
      if (now.state === way.to) return { what: 'step', step, outcome: seen < unserved ? 'unserved' : 'rejected' }
      return seen === 0 && inputs.length < 30 ? choices(machine, now)[0]?.input : undefined
    }
    return [course(machine, next)]
  })
}

/** Whether the attempts of a timer are used up in it, after visits that nobody served. */
function isWornOut({ inputs, rests }: Course): boolean {
  const first = inputs.findIndex((input) => input.what === 'step' && input.outcome === 'unserved')
  const last = rests.findIndex((came) => came?.made.some(([, cause]) => cause === 'exhausted'))
  return first >= 0 && first < last
}

if (process.env.COURSES === 'write') {
  for (const config of CONFIGS) {
    for (const [workflow, machine] of machinesOf(config)) {
      const name = `${config.replaceAll(/.*\/|\.yaml/g, '')}-${workflow}.json`
      writeFileSync(join(FOLDER, name), `${JSON.stringify(written(config, workflow, machine))}\n`)
    }
  }
}

describe('an instance that nobody runs', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

  it('has courses of many machines to be held to, also of attempts that are used up after visits that nobody served', () => {
    expect(files.length).toBeGreaterThan(5)
    const read = (file: string): Courses => JSON.parse(readFileSync(join(FOLDER, file), 'utf8'))
    expect(files.filter((file) => read(file).courses.some(isWornOut))).toContain('monolith-order-processing.json')
  })

  it.each(files)('goes where one of the program goes: %s', (file) => {
    const { config, workflow, created: begin, courses }: Courses = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'))
    const machine = machinesOf(config).get(workflow)
    if (!machine) throw new Error(`${config} has no workflow ${workflow}`)
    expect(rest(created(machine))).toEqual(begin)
    for (const { inputs, rests } of courses) {
      let now = created(machine).now
      for (const [index, input] of inputs.entries()) {
        const outcome = advanced(machine, now, input)
        expect(outcome && rest(outcome), `${file}: ${JSON.stringify(inputs.slice(0, index + 1))}`).toEqual(rests[index])
        if (outcome) now = outcome.now
      }
    }
  })

  it('tells what can happen, and where that leads', () => {
    const machine = machinesOf('configs/monolith.yaml').get('order-processing')
    if (!machine) throw new Error('the shop has no orders')
    const paying = created(machine)
    const told = (outcome: Outcome) => choices(machine, outcome.now).map(({ label, leads }) => `${label} ${leads}`)
    const step = (outcome: Outcome, name: string, answer: 'accepted' | 'rejected' | 'transient' | 'unserved') =>
      advanced(machine, outcome.now, { what: 'step', step: name, outcome: answer }) ?? paying
    const begun = choices(machine, paying.now)[0]
    expect(begun).toBeDefined()
    let outcome = paying
    while (outcome.now.state !== 'paying')
      outcome = advanced(machine, outcome.now, choices(machine, outcome.now)[0]?.input as Input) ?? paying
    expect(told(outcome)).toContain('step-payment breaks off tried again: attempt 2 of 3')
    const again = step(step(outcome, 'step-payment', 'transient'), 'step-payment', 'transient')
    expect(told(again)).toContain('step-payment breaks off the last time to payment_failed')
    expect(told(again)).toContain('step-payment gets no answer from what it calls the last time to payment_failed')
    // What the component calls has not answered: that is no attempt of the timer, but the next one waits longer.
    const unserved = (outcome: Outcome) => {
      const last = step(step(outcome, 'step-payment', 'unserved'), 'step-payment', 'unserved')
      return step(last, 'step-payment', 'unserved')
    }
    const waited = (outcome: Outcome) =>
      advanced(machine, outcome.now, { what: 'timer', transition: 'retry_payment' }) ?? paying
    expect(told(unserved(outcome)).some((words) => /^10s pass \(1 of 3\) to paying$/.test(words))).toBe(true)
    const twice = told(unserved(waited(unserved(outcome))))
    expect(twice).toContain('10s, longer than before, two minutes at most, pass (1 of 3) to paying')
    const declined = step(outcome, 'step-payment', 'rejected')
    expect(declined.now.state).toBe('payment_failed')
    expect(told(declined).some((words) => /^10s pass \(1 of \d+\) to paying$/.test(words))).toBe(true)
  })

  /** Orders of the shop, with another time before a payment is tried again. */
  function orders(after = '10s'): Simulation {
    const config = readFileSync(join(repository, 'configs/monolith.yaml'), 'utf8')
    const { source, machines } = lens(config.replace(`\${PAYMENT_RETRY_AFTER:-10s}`, after))
    const machine = machines.find(({ name }) => name === 'order-processing')
    if (!machine) throw new Error('the shop has no orders')
    return simulation(source.value, machine)
  }

  const payment = (outcome: 'accepted' | 'rejected' | 'unserved'): Input => ({
    what: 'step',
    step: 'step-payment',
    outcome,
  })
  const retry: Input = { what: 'timer', transition: 'retry_payment' }
  const unserved = [payment('unserved'), payment('unserved'), payment('unserved')]
  const toPaying: Input[] = [{ what: 'step', step: 'step-validate', outcome: 'accepted' }]

  function go(machine: Simulation, inputs: readonly Input[]): Simulated {
    const walk = walked(machine, inputs)
    expect(walk.inputs).toEqual(inputs)
    return walk.now
  }

  it.each([
    ['10s', true],
    ['1m59s', true],
    ['500ms', true],
    ['2m', false],
    ['120 seconds', false],
    ['1h', false],
    ['1w 10s', false],
  ])('tells that %s grow after visits without an answer: %s', (after, grows) => {
    const machine = orders(after)
    const now = go(machine, [...toPaying, ...unserved, retry, ...unserved])
    const label = choices(machine, now).find(({ transition }) => transition === 'retry_payment')?.label
    expect(label).toBe(`${after}${grows ? ', longer than before, two minutes at most,' : ''} pass (1 of 3)`)
  })

  it('uses its attempts up by what it is answered, not by what nobody answers', () => {
    const machine = orders()
    const rounds = Array.from({ length: 3 }, () => [...unserved, retry]).flat()
    const before = [...toPaying, ...rounds]
    expect(go(machine, before).state).toBe('paying')
    // The last of these three is served, and so the first attempt that counts.
    const refused = Array.from({ length: 2 }, () => [payment('rejected'), retry]).flat()
    expect(go(machine, [...before, ...refused]).state).toBe('paying')
    const last = walked(machine, [...before, ...refused, payment('rejected')])
    expect(last.now.state).toBe('cancelled')
    expect(last.outcomes.at(-1)?.made).toContainEqual({
      transition: 'abandon_payment',
      from: 'payment_failed',
      to: 'cancelled',
      cause: 'exhausted',
    })
  })
})
