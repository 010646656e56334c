import { describe, expect, it } from 'vitest'
import { addModule } from './commands.ts'
import { deletePath } from './deleting.ts'
import { lens } from './lens.ts'
import { addMachine, addState } from './machineCommands.ts'
import { edited } from './testing/gestures.ts'

const ENGINE = edited('', (model) => addModule(model, { type: 'statemachine.engine', name: 'engine' }))

describe('a new machine', () => {
  it('is written with its section, and a second one after it', () => {
    const one = edited(ENGINE, (model) => addMachine(model, 'shipping'))
    expect(lens(one).machines.map(({ name, initial }) => [name, initial])).toEqual([['shipping', 'new']])
    const two = edited(one, (model) => addMachine(model, 'refund'))
    expect(lens(two).machines.map(({ name }) => name)).toEqual(['shipping', 'refund'])
  })
  it('needs an engine, and a name of its own', () => {
    expect(() => addMachine(lens(''), 'shipping')).toThrow('needs a State Machine')
    const one = edited(ENGINE, (model) => addMachine(model, 'shipping'))
    expect(() => addMachine(lens(one), 'shipping')).toThrow('already')
  })
})

describe('what is deleted by its place', () => {
  const begun = edited(ENGINE, (model) => addMachine(model, 'shipping'))
  const machine = edited(begun, (model) => addState(model, { workflow: 'shipping', name: 'packed' }))
  const path = lens(machine).machines[0]?.path ?? []

  it('takes its transitions with it, if it is a state', () => {
    const [left] = lens(edited(machine, (model) => deletePath(model, [...path, 'states', 'done']))).machines
    expect(left?.states.map(({ name }) => name)).toEqual(['new', 'packed'])
    expect(left?.transitions).toEqual([])
  })
  it('is just itself, if it is anything else', () => {
    expect(lens(edited(machine, (model) => deletePath(model, path))).machines).toEqual([])
  })
})
