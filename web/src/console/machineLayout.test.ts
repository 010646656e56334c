import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lens } from './lens.ts'
import { laidOut, type MachineGraph, STATE } from './machineLayout.ts'

const graphOf = (file: string): MachineGraph[] => {
  const text = readFileSync(resolve(import.meta.dirname, `../../../configs/${file}.yaml`), 'utf8')
  return lens(text).machines.map(({ initial, states, transitions }) => ({
    initial,
    states: states.map(({ name }) => name),
    transitions: transitions.map(({ name, from, to }) => ({ name, from, to, width: 20 + name.length * 7 })),
  }))
}

/** A machine of so many states in a line, with ways back and a way out of each. */
function long(count: number): MachineGraph {
  const states = Array.from({ length: count }, (_, index) => `s${index}`)
  const way = (from: number, to: number) => ({ name: `${from}-${to}`, from: `s${from}`, to: `s${to}`, width: 90 })
  const transitions = states.flatMap((_, at) => [
    ...(at + 1 < count ? [way(at, at + 1)] : []),
    ...(at % 5 === 4 ? [way(at, at - 3)] : []),
    ...(at + 7 < count && at % 3 === 0 ? [way(at, at + 7)] : []),
  ])
  return { initial: 's0', states, transitions }
}

describe('a machine is drawn', () => {
  for (const graph of [...graphOf('monolith'), long(100)]) {
    const laid = laidOut(graph)
    const { states, transitions } = laid
    const places = Object.values(states)
    test(`${graph.states.length} states and all transitions have a place, and no state lies on another`, () => {
      expect(Object.keys(states).toSorted()).toEqual([...graph.states].toSorted())
      expect(Object.keys(transitions)).toHaveLength(graph.transitions.length)
      for (const [index, one] of places.entries()) {
        for (const other of places.slice(index + 1)) {
          const apart = Math.abs(one.x - other.x) >= STATE.width || Math.abs(one.y - other.y) >= STATE.height
          expect(apart, `${JSON.stringify(one)} and ${JSON.stringify(other)}`).toBe(true)
        }
      }
    })
    test(`no name of the ${graph.transitions.length} transitions lies on a state or on another name`, () => {
      const labels = graph.transitions.map(({ name, width }) => ({ ...(transitions[name]?.label ?? places[0]), width }))
      for (const [index, { x = 0, y = 0, width }] of labels.entries()) {
        for (const other of labels.slice(index + 1)) {
          const clear = y !== other.y || Math.abs(x - (other.x ?? 0)) >= (width + other.width) / 2
          expect(clear).toBe(true)
        }
        for (const state of places) expect(y > state.y && y < state.y + STATE.height).toBe(false)
      }
    })
    test(`the initial one of ${graph.states.length} states is at the top, and the same is drawn again`, () => {
      expect(states[graph.initial]?.y).toBe(Math.min(...places.map(({ y }) => y)))
      expect(laidOut(graph)).toEqual(laid)
    })
  }

  test('a transition that leads to its own state is drawn beside it', () => {
    const { states, transitions } = laidOut({
      initial: 'a',
      states: ['a'],
      transitions: [{ name: 'again', from: 'a', to: 'a', width: 60 }],
    })
    expect(transitions.again?.label.x).toBeGreaterThan((states.a?.x ?? 0) + STATE.width)
  })

  test('what leads nowhere is not drawn, and a machine without an initial state is', () => {
    const transitions = [{ name: 'lost', from: 'a', to: 'nowhere', width: 60 }]
    expect(laidOut({ initial: 'none', states: ['a', 'b'], transitions }).transitions).toEqual({})
  })
})
