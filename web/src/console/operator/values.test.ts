import { expect, it } from 'vitest'
import { written } from './values'

it('a value stands in a line, and what is private or gone is said in words', () => {
  expect(written({ is: 'value', value: { city: 'Portland' } }).text).toBe('{"city":"Portland"}')
  expect(written({ is: 'value', value: null }).text).toBe('null')
  expect(written({ is: 'hidden', value: null }).text).toBe('[hidden]')
  expect(written({ is: 'left_out', value: null }).text).toBe('[not kept]')
  expect(written({ is: 'absent', value: null }).text).toBe('not there any more')
  const long = written({ is: 'value', value: '💧'.repeat(100) })
  expect([...long.text]).toHaveLength(81)
  expect(long.text.endsWith('💧…')).toBe(true)
  expect(long.whole).toHaveLength(202)
})
