import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { counted, hunksOf, pieces, textOf, together } from './difference'

const BASE =
  'modules:\n  - name: web\n    type: http.server\n    config:\n      address: ":8080"\n  - name: health\n    type: health.checker\n'

describe('a difference', () => {
  it('has the lines that came and went, with the words that are different in them', () => {
    const [hunk, ...more] = hunksOf(BASE, BASE.replace(':8080', ':9090'))
    expect(more).toEqual([])
    const changed = hunk?.filter(({ kind }) => kind !== 'same') ?? []
    expect(changed.map(({ kind, old, new: now }) => [kind, old, now])).toEqual([
      ['gone', 5, null],
      ['new', null, 5],
    ])
    expect(changed.map(({ words }) => words.filter(({ isOwn }) => isOwn).map(({ text }) => text))).toEqual([
      ['8080'],
      ['9090'],
    ])
  })

  it('is empty between equal texts', () => {
    expect(hunksOf(BASE, BASE)).toEqual([])
  })

  it('leads from one text to the other', () => {
    const text = fc.array(fc.constantFrom('a: 1', 'b: two words', '  - c', '', 'd: "x"'), {
      minLength: 1,
      maxLength: 30,
    })
    fc.assert(
      fc.property(text, text, (from, to) => {
        const hunks = hunksOf(`${from.join('\n')}\n`, `${to.join('\n')}\n`)
        const { gone, come } = counted(hunks)
        expect(come - gone).toBe(to.length - from.length)
        for (const line of hunks.flat()) {
          if (line.new !== null) expect(textOf(line)).toBe(to[line.new - 1] ?? '')
          else expect(textOf(line)).toBe(from[(line.old ?? 0) - 1] ?? '')
        }
      }),
    )
  })
})

describe('two changes of one text', () => {
  it('are put together where they are of different lines', () => {
    const mine = BASE.replace(':8080', ':9090')
    const theirs = BASE.replace('health.checker', 'metrics.collector')
    const parts = pieces(BASE, mine, theirs)
    expect(parts.every(({ kind }) => kind === 'settled')).toBe(true)
    expect(together(parts, [])).toBe(mine.replace('health.checker', 'metrics.collector'))
  })

  it('are a question where they are of the same line', () => {
    const [mine, theirs] = [BASE.replace(':8080', ':9090'), BASE.replace(':8080', ':7070')]
    const parts = pieces(BASE, mine, theirs)
    expect(parts.filter(({ kind }) => kind === 'clash')).toHaveLength(1)
    expect(together(parts, ['mine'])).toBe(mine)
    expect(together(parts, ['theirs'])).toBe(theirs)
  })

  it('are one where both are the same, and nothing where nobody has changed anything', () => {
    const both = BASE.replace(':8080', ':9090')
    expect(together(pieces(BASE, both, both), [])).toBe(both)
    expect(together(pieces(BASE, BASE, both), [])).toBe(both)
    expect(together(pieces(BASE, both, BASE), [])).toBe(both)
    expect(together(pieces(BASE, BASE, BASE), [])).toBe(BASE)
  })

  it('keep the ends of lines, also those of Windows and none at the end', () => {
    const base = 'a: 1\r\nb: 2\r\nc: 3\r\nd: 4'
    const parts = pieces(base, base.replace('a: 1', 'a: 9'), base.replace('d: 4', 'd: 8'))
    expect(together(parts, [])).toBe('a: 9\r\nb: 2\r\nc: 3\r\nd: 8')
  })
})
