import { describe, expect, it } from 'vitest'
import { decoded, encoded, MAX_STEPS, TextBuffer, TYPING_PAUSE } from './buffer.ts'
import { applied, difference, inverted } from './edits.ts'

/** A clock that stands still until it is told. */
function clock() {
  let time = 0
  return { now: () => time, wait: (milliseconds: number) => (time += milliseconds) }
}

const insert = (from: number, text: string) => [{ from, to: from, insert: text }]

describe('edits', () => {
  it('are given in the offsets of the text before, in any sequence, and are taken back by their inverse', () => {
    const edits = [
      { from: 4, to: 5, insert: 'EE' },
      { from: 0, to: 2, insert: '' },
      { from: 2, to: 2, insert: '1' },
      { from: 2, to: 2, insert: '2' },
    ]
    const after = applied('abcdef', edits)
    expect(after).toBe('12cdEEf')
    expect(applied(after, inverted('abcdef', edits))).toBe('abcdef')
  })

  it.each([
    [
      'overlap',
      [
        { from: 0, to: 3, insert: '' },
        { from: 2, to: 4, insert: '' },
      ],
    ],
    ['lie outside of the text', [{ from: 4, to: 9, insert: '' }]],
    ['end before they begin', [{ from: 2, to: 1, insert: '' }]],
  ])('are refused where they %s', (_, edits) => {
    expect(() => applied('abcdef', edits)).toThrow(RangeError)
  })

  it('between two texts are as small as can be', () => {
    expect(difference('one two three', 'one 2 three')).toEqual([{ from: 4, to: 7, insert: '2' }])
    expect(difference('aaa', 'aa')).toEqual([{ from: 2, to: 3, insert: '' }])
    expect(difference('same', 'same')).toEqual([])
  })
})

describe('a text buffer', () => {
  it('is dirty when its bytes differ from what was saved, and not otherwise', () => {
    const buffer = new TextBuffer('one', clock().now)
    expect(buffer.dirty).toBe(false)
    buffer.apply(insert(3, ' two'), 'Add two')
    expect(buffer.dirty).toBe(true)
    buffer.apply([{ from: 3, to: 7, insert: '' }], 'Remove two')
    expect(buffer.dirty).toBe(false)
    buffer.undo()
    expect(buffer.dirty).toBe(true)
    buffer.markSaved(buffer.text)
    expect(buffer.dirty).toBe(false)
  })

  it('stays dirty when something was typed while it was saved', () => {
    const buffer = new TextBuffer('one', clock().now)
    const saving = buffer.text
    buffer.type(insert(3, '!'))
    buffer.markSaved(saving)
    expect(buffer.dirty).toBe(true)
  })

  it('makes one step of a gesture, with its name', () => {
    const buffer = new TextBuffer('ab', clock().now)
    buffer.apply([...insert(0, '1'), ...insert(2, '2')], 'Rename a to b')
    expect([buffer.text, buffer.undoLabel, buffer.redoLabel]).toEqual(['1ab2', 'Rename a to b', null])
    expect(buffer.undo()).toBe(true)
    expect([buffer.text, buffer.undoLabel, buffer.redoLabel]).toEqual(['ab', null, 'Rename a to b'])
    expect(buffer.redo()).toBe(true)
    expect(buffer.text).toBe('1ab2')
    expect(buffer.redo()).toBe(false)
  })

  it('leaves no step of a gesture that changes nothing', () => {
    const buffer = new TextBuffer('ab', clock().now)
    buffer.apply([{ from: 0, to: 1, insert: 'a' }], 'Set a')
    expect(buffer.undoLabel).toBeNull()
  })

  it('makes one step of what is typed without a pause', () => {
    const time = clock()
    const buffer = new TextBuffer('', time.now)
    for (const letter of 'abc') {
      buffer.type(insert(buffer.text.length, letter))
      time.wait(TYPING_PAUSE)
    }
    time.wait(1)
    buffer.type(insert(3, 'd'))
    buffer.undo()
    expect(buffer.text).toBe('abc')
    buffer.undo()
    expect(buffer.text).toBe('')
    buffer.redo()
    expect(buffer.text).toBe('abc')
  })

  it('does not join what is typed after a gesture, an undo or a save with what was typed before', () => {
    for (const between of [
      (buffer: TextBuffer) => buffer.apply(insert(0, '>'), 'Gesture'),
      (buffer: TextBuffer) => buffer.undo() && buffer.redo(),
      (buffer: TextBuffer) => buffer.markSaved(buffer.text),
    ]) {
      const buffer = new TextBuffer('', clock().now)
      buffer.type(insert(0, 'a'))
      between(buffer)
      const before = buffer.text
      buffer.type(insert(before.length, 'b'))
      buffer.undo()
      expect(buffer.text).toBe(before)
    }
  })

  it('forgets what was undone when something else is done', () => {
    const buffer = new TextBuffer('', clock().now)
    buffer.apply(insert(0, 'a'), 'a')
    buffer.undo()
    buffer.apply(insert(0, 'b'), 'b')
    expect(buffer.redo()).toBe(false)
  })

  it('undoes an import or a clear like everything else', () => {
    const buffer = new TextBuffer('modules:\n', clock().now)
    buffer.replace('', 'Clear')
    buffer.replace('other: 1\n', 'Import')
    buffer.undo()
    expect(buffer.text).toBe('')
    buffer.undo()
    expect(buffer.text).toBe('modules:\n')
  })

  it('keeps so many steps and no more', () => {
    const buffer = new TextBuffer('', clock().now)
    for (let step = 0; step < MAX_STEPS + 10; step++) buffer.apply(insert(step, '.'), `Step ${step}`)
    let undone = 0
    while (buffer.undo()) undone++
    expect([undone, buffer.text.length]).toEqual([MAX_STEPS, 10])
  })

  it('tells who listens of every change, until they have heard enough', () => {
    const buffer = new TextBuffer('', clock().now)
    const heard: string[] = []
    const end = buffer.subscribe(() => heard.push(buffer.text))
    buffer.apply(insert(0, 'a'), 'a')
    buffer.undo()
    buffer.redo()
    end()
    buffer.apply(insert(0, 'b'), 'b')
    expect(heard).toEqual(['a', '', 'a'])
  })

  it('reads and writes files byte by byte, with their byte order mark', () => {
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0x0d, 0x0a, 0xf0, 0x9f, 0x98, 0x80])
    expect([...encoded(decoded(bytes))]).toEqual([...bytes])
    expect(() => decoded(new Uint8Array([0xff, 0xfe, 0x61]))).toThrow('UTF-8')
  })
})
