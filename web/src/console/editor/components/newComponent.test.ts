import { expect, it } from 'vitest'
import { archive } from '../../editor/components/archive.ts'
import { LANGUAGES, wrongName } from '../../editor/components/languages.ts'
import { applied, Refusal } from '../../edits.ts'
import { lens } from '../../lens.ts'
import { repositoryFile, repositoryFolder } from '../../testing/corpus.ts'
import { diff } from '../../testing/gestures.ts'
import { type Built, type Purpose, putIn, topics, ways } from './newComponent.ts'

const MONOLITH = repositoryFile('configs/monolith.yaml')
const BUILT: Built = {
  name: 'fraud-check',
  source: '../components/fraud-check.wasm',
  expect: 'fraud',
  summary: 'Looks at the total',
}

/** Lines that come and go. */
function written(purpose: Purpose, { text = MONOLITH, built = BUILT } = {}): string[] {
  return diff(text, applied(text, putIn(lens(text), built, purpose).edits))
}

it('a step comes with its component, a state, its answers and its hook', () => {
  const lines = written({ kind: 'step', from: 'validated', to: 'paying' })
  expect(lines).toEqual(expect.arrayContaining([expect.stringContaining('- name: fraud-check')]))
  const added = lines.filter((line) => line.startsWith('+')).join('\n')
  for (const part of [
    'source: ../components/fraud-check.wasm',
    'expect:',
    'fraud',
    'Looks at the total',
    'componentId: fraud-check',
    'toStates: [validated]',
  ])
    expect(added).toContain(part)
  expect(
    lens(applied(MONOLITH, putIn(lens(MONOLITH), BUILT, { kind: 'step', from: 'validated', to: 'paying' }).edits))
      .readOnly,
  ).toBeNull()
})

it('a handler runs it for the events of a topic', () => {
  const text = applied(MONOLITH, putIn(lens(MONOLITH), BUILT, { kind: 'handler', topic: 'order.delivered' }).edits)
  const { modules, edges } = lens(text)
  const handler = modules.find(({ name }) => name === 'fraud-check-handler')
  expect(handler?.config).toMatchObject({ topic: 'order.*', component: 'fraud-check' })
  expect(edges.some(({ kind, to }) => kind === 'subscription' && to === 'fraud-check-handler')).toBe(true)
  expect(topics(lens(text))).toContain('order.delivered')
})

it('one that is there is not written twice, and what is no component is not taken for one', () => {
  const once = applied(MONOLITH, putIn(lens(MONOLITH), BUILT, { kind: 'module' }).edits)
  const lines = written({ kind: 'step', from: 'validated', to: 'paying' }, { text: once })
  expect(lines.join('\n')).not.toContain('dynamic.component')
  expect(() => putIn(lens(once), BUILT, { kind: 'module' })).toThrow(Refusal)
  const taken = { ...BUILT, name: 'orders-api' }
  expect(() => putIn(lens(MONOLITH), taken, { kind: 'module' })).toThrow('it is no component')
})

it('what would be taken for a variable is not written', () => {
  const lines = written({ kind: 'module' }, { built: { ...BUILT, summary: `costs $${'{X}'}` } })
  expect(lines.join('\n')).not.toContain('costs')
})

it('each pair of states is offered once, and none that waits for a step already', () => {
  const all = ways(lens(MONOLITH))
  expect(all).toContainEqual({ workflow: 'order-processing', from: 'validated', to: 'paying' })
  expect(all.some(({ from }) => from === 'paying')).toBe(false)
  const pairs = all.map(({ from, to }) => `${from} ${to}`)
  expect(new Set(pairs).size).toBe(pairs.length)
})

// The others are shared by some of them.
it('the languages are those that there are templates for', () => {
  const folders = repositoryFolder('authoring/templates').filter((name) => !['common', 'npm', 'pip'].includes(name))
  expect(LANGUAGES.map(([name]) => name).sort()).toEqual(folders.sort())
})

it.each(['fraud-check', 'a1', 'x'])('%s is a name', (name) => {
  expect(wrongName(name)).toBeNull()
})

it.each(['', 'Fraud', '1fraud', '-fraud', 'fraud-', 'fraud--check', 'fraud_check', '../fraud', 'früh', 'a'.repeat(41)])(
  '%s is no name',
  (name) => {
    expect(wrongName(name)).toContain('for example fraud-check')
  },
)

it('the archive has the folder, with scripts that can be run', () => {
  const files = [
    { path: 'build.sh', text: '#!/bin/sh\n', script: true },
    { path: 'wit/step.wit', text: 'package a:b;\n', script: false },
  ]
  const bytes = Buffer.from(archive({ name: 'fraud-check', files }))
  for (const name of ['fraud-check/build.sh', 'fraud-check/wit/step.wit']) expect(bytes.includes(name)).toBe(true)
  // Attributes of the entries in the directory at its end: 38 bytes from its mark, the mode in the upper half.
  const modes: number[] = []
  for (let at = bytes.indexOf('PK\x01\x02'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 4))
    modes.push(bytes.readUInt32LE(at + 38) >>> 16)
  expect(modes).toEqual([0o100755, 0o100644])
})
