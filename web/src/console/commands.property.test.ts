/** Gestures of every kind on every config of this repository: each means what the view then shows, or is refused with a reason. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { TextBuffer } from './buffer.ts'
import { addModule, addRoute, type Change, setValue } from './commands.ts'
import { connect } from './connect.ts'
import { deleteModule, deleteState } from './deleting.ts'
import { applied, Refusal } from './edits.ts'
import { lens, type Model, machineNamed, usesOf } from './lens.ts'
import { addState, addTransition, dropComponent } from './machineCommands.ts'
import { MODULE_TYPES } from './moduleTypes.ts'
import { type Named, rename } from './rename.ts'
import { type Dice, dice, RUNS, repositoryFiles, seeds, variants } from './testing/corpus.ts'

/** Configs, in all their variants. */
const CONFIGS = repositoryFiles()
  .filter(([name, text]) => /^(configs|host\/tests\/config\/valid)\//.test(name) && lens(text).modules.length > 0)
  .flatMap(([name, text]) => variants(text).map(([how, variant]): [string, string] => [`${name} ${how}`, variant]))
const AS_THEY_ARE = CONFIGS.filter(([name]) => name.endsWith('as it is'))
/** Milliseconds that a long run may take. */
const TIME = 60_000 + RUNS * 400

/** What is refused is refused with a sentence; anything else that goes wrong is a mistake of ours. */
function attempted(gesture: () => Change): Change | null {
  try {
    return gesture()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    expect(error.message).toMatch(/^.{10,}\.$/s)
    return null
  }
}

function read(text: string): unknown {
  const document = parseDocument(text, { merge: true })
  expect(document.errors, text).toEqual([])
  return document.toJS()
}

const pick = <T>(roll: Dice, from: readonly T[]): T => from[roll(from.length || 1)] as T

describe('the names of every config', () => {
  it.each(AS_THEY_ARE)(
    'in %s can be another one, and back again gives the same bytes',
    (_, text) => {
      const model = lens(text)
      const every = RUNS < 1000 ? 6 : 1
      const defined = model.names.filter(({ place }) => place.defines).filter((_, index) => index % every === 0)
      for (const { kind, name, workflow } of defined) {
        const what: Named = { kind, name, ...(workflow === null ? {} : { workflow }) }
        const there = attempted(() => rename(model, what, 'some-other-name'))
        if (!there) continue
        const renamed = applied(text, there.edits)
        read(renamed)
        const back = rename(lens(renamed), { ...what, name: 'some-other-name' }, name)
        expect(applied(renamed, back.edits), `${kind} ${name}`).toBe(text)
      }
      expect(defined.length).toBeGreaterThan(0)
    },
    TIME,
  )
})

type Made = { change: Change; shows: (after: Model) => unknown; wanted: unknown }
type Gesture = (model: Model, roll: Dice) => Made | null

const named = (model: Model, name: string) => model.modules.filter((module) => module.name === name).length

/** A machine of the config; none if the gestures before have left it no state. */
function machineWithStates(model: Model, roll: Dice) {
  return pick(
    roll,
    model.machines.filter(({ states }) => states.length > 0),
  )
}

const GESTURES: Gesture[] = [
  (model, roll) => {
    const machine = machineWithStates(model, roll)
    if (!machine) return null
    const { name } = pick(roll, machine.states)
    const change = deleteState(model, machine.name, name)
    const named = (after: Model) => {
      const { states = [], transitions = [] } = machineNamed(after, machine.name) ?? {}
      return [...states.map((one) => one.name), ...transitions.flatMap(({ from, to }) => [from, to])].includes(name)
    }
    return { change, shows: named, wanted: false }
  },
  (model, roll) => {
    const type = pick(roll, MODULE_TYPES).type
    const change = addModule(model, { type })
    return { change, shows: (after) => after.modules.find(({ name }) => name === change.name)?.type, wanted: type }
  },
  (model, roll) => {
    const name = pick(roll, model.modules)?.name ?? ''
    const before = named(model, name)
    return { change: deleteModule(model, name), shows: (after) => named(after, name), wanted: before - 1 }
  },
  (model, roll) => {
    const name = pick(roll, model.modules)?.name ?? ''
    const uses = usesOf(model, name).length
    const change = rename(model, { kind: 'module', name }, `renamed-${roll(1e6)}`)
    const to = change.label.split(' ').at(-1) ?? ''
    return { change, shows: (after) => [named(after, name), usesOf(after, to).length], wanted: [0, uses] }
  },
  (model, roll) => {
    const route = { method: 'PATCH', path: `/new/${roll(1e6)}`, handler: pick(roll, model.modules)?.name ?? '' }
    const change = addRoute(model, route)
    const shown = (after: Model) => after.routes.filter(({ path }) => path === route.path).map(({ handler }) => handler)
    return { change, shows: shown, wanted: [route.handler] }
  },
  (model, roll) => {
    const machine = machineWithStates(model, roll)
    if (!machine) return null
    const name = `state_${roll(1e6)}`
    const change = addState(model, {
      workflow: machine.name,
      name,
      description: 'Is there: "now"',
      after: pick(roll, machine.states)?.name ?? '',
    })
    return {
      change,
      shows: (after) => machineNamed(after, machine.name)?.states.find((one) => one.name === name)?.description,
      wanted: 'Is there: "now"',
    }
  },
  (model, roll) => {
    const machine = machineWithStates(model, roll)
    if (!machine) return null
    const [from, to] = [pick(roll, machine.states).name, pick(roll, machine.states).name]
    const name = `transition_${roll(1e6)}`
    const maker = pick(roll, [
      { by: 'automatic' },
      { by: 'timer', after: '5m' },
      { by: 'event', topic: 'a.b', event: 'a.b' },
    ] as const)
    const change = addTransition(model, { workflow: machine.name, name, from, to, maker })
    const shown = (after: Model) => machineNamed(after, machine.name)?.transitions.find((one) => one.name === name)
    return {
      change,
      shows: (after) => [shown(after)?.from, shown(after)?.to, shown(after)?.makers[0]?.by],
      wanted: [from, to, maker.by],
    }
  },
  (model, roll) => {
    const machine = machineWithStates(model, roll)
    const component = pick(
      roll,
      model.modules.filter(({ type }) => type === 'dynamic.component'),
    )
    if (!machine || !component) return null
    const state = pick(roll, machine.states).name
    const change = dropComponent(model, {
      workflow: machine.name,
      state,
      component: component.name,
      success: { to: `past_${roll(1e6)}` },
    })
    return {
      change,
      shows: (after) => machineNamed(after, machine.name)?.states.find(({ name }) => name === state)?.awaits,
      wanted: change.step,
    }
  },
  (model, roll) => {
    const choice = pick(
      roll,
      connect(model, pick(roll, model.modules)?.name ?? '', pick(roll, model.modules)?.name ?? ''),
    )
    const { name: workflow = 'w', states = [] } = model.machines[0] ?? {}
    const answers = {
      method: 'GET',
      path: `/c/${roll(1e6)}`,
      topic: 't.x',
      service: 's',
      workflow,
      state: states[0]?.name ?? 's',
    }
    const edges = model.edges.flatMap(({ paths }) => paths).length
    const change = choice.make(answers)
    return { change, shows: (after) => after.edges.flatMap(({ paths }) => paths).length >= edges, wanted: true }
  },
  (model, roll) => {
    const module = pick(roll, model.modules)
    if (!module) return null
    const value = pick(roll, ['plain', 'x: y', '', 12, true, null, "it's #1"])
    const change = setValue(model, [...module.path, 'config', 'description'], value)
    return { change, shows: (after) => after.modules[Number(module.path[1])]?.config.description, wanted: value }
  },
]

it(
  'a random row of gestures shows after each what it was about, and is undone and redone to the byte',
  () => {
    const count = { made: 0, refused: 0 }
    fc.assert(
      fc.property(seeds, (seed) => {
        const roll = dice(seed)
        const [, text] = pick(roll, CONFIGS)
        const buffer = new TextBuffer(text, () => 0)
        const texts = [text]
        for (let turn = 0; turn < 5; turn++) {
          const model = lens(buffer.text)
          let made: Made | null = null
          const change = attempted(() => {
            made = pick(roll, GESTURES)(model, roll)
            return (made as Made | null)?.change ?? { label: '', edits: [] }
          })
          if (!change || !made) {
            count.refused++
            continue
          }
          const before = buffer.text
          buffer.apply(change.edits, change.label)
          const { shows, wanted } = made as Made
          expect(shows(lens(buffer.text)), `${change.label}\n${before}`).toEqual(wanted)
          read(buffer.text)
          if (buffer.text !== before) texts.push(buffer.text)
          count.made++
        }
        for (const wanted of texts.toReversed().slice(1)) {
          buffer.undo()
          expect(buffer.text).toBe(wanted)
        }
        expect([buffer.text, buffer.dirty]).toEqual([text, false])
        while (buffer.redo());
        expect(buffer.text).toBe(texts.at(-1))
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    )
    expect(count.made, `${count.refused} refused`).toBeGreaterThan(count.refused)
  },
  TIME,
)

it(
  'a gesture is the same however other modules are written',
  () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const roll = dice(seed)
        const [, text] = pick(roll, AS_THEY_ARE)
        const lines = text
          .split('\n')
          .map((line) => (/^ {2}- name:/.test(line) && roll(3) === 0 ? `  # a note of ${seed}\n${line}` : line))
        const noted = lines.join('\n')
        const without = (one: string) => one.replaceAll(`  # a note of ${seed}\n`, '')
        const [here, there] = [text, noted].map((one) => {
          const own = dice(seed + 1)
          const change = attempted(
            () =>
              pick(own, [GESTURES[1], GESTURES[4], GESTURES[6], GESTURES[7]] as Gesture[])(lens(one), own)?.change ?? {
                label: '',
                edits: [],
              },
          )
          return change && applied(one, change.edits)
        })
        expect(there && without(there)).toBe(here)
      }),
      { numRuns: Math.ceil(RUNS / 8) },
    )
  },
  TIME,
)
