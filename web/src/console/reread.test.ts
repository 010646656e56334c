/** A text of which only a part is read again is read as if all of it were. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { YAMLMap, YAMLSeq } from 'yaml'
import { isCollection, isScalar } from 'yaml'
import { applied, type Edit } from './edits.ts'
import { partly } from './reread.ts'
import { isFlow, nameOf, Source } from './source.ts'
import { generated, largeConfig, RUNS, repositoryFiles, seeds } from './testing/corpus.ts'

/** What a person may have typed or pasted, also where it says something else there. */
const TYPED = [
  '',
  'x',
  ' ',
  'name',
  ': ',
  ':',
  '- ',
  '\n',
  '\n  ',
  '\n    more: 1',
  '\n  - name: y',
  '\n- z',
  '\nother: 2',
  '#',
  ' # note',
  '"',
  "'",
  '|',
  '|+\n',
  '>-',
  '{',
  '}',
  '[a, b]',
  ', ',
  '&a ',
  '*a',
  '!t ',
  '---\n',
  '...\n',
  '%',
  '? ',
  '<<: ',
  '\t',
  '\r\n',
  'null',
  '12',
  '~',
]

/** Everything that is asked of a text: what it says, and where. */
function told(source: Source): unknown {
  const node = (one: unknown): unknown => {
    if (isScalar(one))
      return { value: one.value, type: one.type, range: one.range?.slice(0, 2), anchor: one.anchor, tag: one.tag }
    if (!isCollection(one)) return one
    return {
      flow: isFlow(one),
      from: one.range?.[0],
      anchor: one.anchor,
      tag: one.tag,
      entries: entries(one as YAMLMap | YAMLSeq),
    }
  }
  const entries = (parent: YAMLMap | YAMLSeq): unknown =>
    source.entries(parent).map(({ from, to, index, key, value }) => ({
      from,
      to,
      index,
      key: nameOf(key),
      at: key?.range?.slice(0, 2),
      value: node(value),
    }))
  const { text, newline, problems, readOnly, value, isSimple, comments } = source
  return {
    text,
    newline,
    problems,
    readOnly,
    value,
    isSimple,
    comments,
    root: node(source.root),
    flaw: source.flaw(['modules', 0, 'name']),
  }
}

/** Compares; answers whether a part was enough. */
function compare(source: Source, edits: readonly Edit[]): Source | null {
  const text = applied(source.text, edits)
  const reading = partly(source, edits)
  if (!reading) return null
  const read = new Source(text, reading)
  // As text: comparing them part by part takes many times as long.
  expect(JSON.stringify(told(read))).toBe(JSON.stringify(told(new Source(text))))
  return read
}

/** Edits of a text, one after the other: places and what is put there. */
const typing = fc.array(
  fc.record({
    at: fc.noBias(fc.integer({ min: 0, max: 999_999 })),
    length: fc.nat(6),
    insert: fc.constantFrom(...TYPED),
  }),
  { minLength: 1, maxLength: 6 },
)

function editAt(text: string, { at, length, insert }: { at: number; length: number; insert: string }): Edit {
  const from = Math.floor((at / 1_000_000) * text.length)
  return { from, to: Math.min(text.length, from + length), insert }
}

it('says the same after whatever is typed into any text', () => {
  let parts = 0
  fc.assert(
    fc.property(seeds, typing, (seed, typed) => {
      let source = new Source(generated(seed, { aliases: seed % 5 === 0 }))
      for (const one of typed) {
        const read = compare(source, [editAt(source.text, one)])
        if (!read) continue
        parts += 1
        source = read
      }
    }),
    { numRuns: RUNS },
  )
  expect(parts).toBeGreaterThan(RUNS / 2)
}, 600_000)

it('says the same after whatever is typed into the configs of this repository', () => {
  let parts = 0
  const all = repositoryFiles()
  fc.assert(
    fc.property(fc.nat(all.length - 1), typing, (index, typed) => {
      let source = new Source(all[index]?.[1] ?? '')
      for (const one of typed) {
        const read = compare(source, [editAt(source.text, one)])
        if (!read) continue
        parts += 1
        source = read
      }
    }),
    { numRuns: RUNS / 4 },
  )
  expect(parts).toBeGreaterThan(RUNS / 8)
}, 600_000)

it('says the same where several parts change at once', () => {
  const text = largeConfig()
  const source = new Source(text)
  const found = [...text.matchAll(/module-1\b/g)].map(({ index }) => index)
  expect(found.length).toBeGreaterThan(90)
  const edits = found.map((at) => ({ from: at, to: at + 'module-1'.length, insert: 'another' }))
  const read = compare(source, edits)
  expect(read?.value).not.toBe(source.value)
  expect(read?.value).toHaveProperty(['modules', 1, 'name'], 'another')
})

it('reads the lines of one module where that is all that has changed', () => {
  const source = new Source(largeConfig())
  const at = source.text.indexOf('"Number 250"')
  const read = compare(source, [{ from: at + 1, to: at + 1, insert: 'The ' }])
  const [before, after] = [source.value, read?.value] as { modules: unknown[]; workflows: unknown }[]
  expect(after?.modules[251]).toBe(before?.modules[251])
  expect(after?.workflows).toBe(before?.workflows)
  expect(after?.modules[250]).not.toBe(before?.modules[250])
})

it('reads all of a text whose first level has an empty key, which values call otherwise', () => {
  const source = new Source('~:\n  - a\nx: 1\n')
  compare(source, [{ from: 12, to: 13, insert: '2' }])
  expect(partly(source, [{ from: 12, to: 13, insert: '2' }])).toBeNull()
})
