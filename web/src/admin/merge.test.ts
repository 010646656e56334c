import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { differences, merged, type Values } from './merge'

const BASE = { name: 'Keyboard', price: 149.99, status: 'active' }

describe('two changes of one thing', () => {
  it('to different fields are both kept', () => {
    const [mine, theirs] = [
      { ...BASE, name: 'Mechanical Keyboard' },
      { ...BASE, price: 139.99 },
    ]
    expect(differences(BASE, mine, theirs).map(({ field, isConflict }) => [field, isConflict])).toEqual([
      ['name', false],
      ['price', false],
    ])
    expect(merged(BASE, mine, theirs, {})).toEqual({ name: 'Mechanical Keyboard', price: 139.99, status: 'active' })
  })

  it('to the same field are a question, and without an answer nothing of theirs is lost', () => {
    const [mine, theirs] = [
      { ...BASE, price: 129 },
      { ...BASE, price: 139.99 },
    ]
    expect(differences(BASE, mine, theirs)).toEqual([
      { field: 'price', base: 149.99, mine: 129, theirs: 139.99, isConflict: true },
    ])
    expect(merged(BASE, mine, theirs, {}).price).toBe(139.99)
    expect(merged(BASE, mine, theirs, { price: 'mine' }).price).toBe(129)
    expect(merged(BASE, mine, theirs, { price: 'theirs' }).price).toBe(139.99)
  })

  it('to the same value are none', () => {
    const both = { ...BASE, price: 129 }
    expect(differences(BASE, both, both)[0]?.isConflict).toBe(false)
    expect(merged(BASE, both, both, {})).toEqual(both)
  })
})

const values = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom<unknown>(0, 1, '1', true))

describe('whatever was changed', () => {
  it('who has changed nothing gets what the other did, and the other way round', () => {
    fc.assert(
      fc.property(values, values, (base: Values, theirs: Values) => {
        expect(clean(merged(base, base, theirs, {}))).toEqual(clean(theirs))
        expect(clean(merged(base, theirs, base, {}))).toEqual(clean(theirs))
      }),
    )
  })

  it('each value is one of the three', () => {
    fc.assert(
      fc.property(values, values, values, (base: Values, mine: Values, theirs: Values) => {
        for (const [field, value] of Object.entries(merged(base, mine, theirs, { a: 'mine' })))
          expect([base[field], mine[field], theirs[field]]).toContain(value)
      }),
    )
  })
})

/** A field that is nothing is not there. */
function clean(some: Values): Values {
  return Object.fromEntries(Object.entries(some).filter(([, value]) => value !== undefined))
}
