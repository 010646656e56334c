import { expect, it } from 'vitest'
import { FILTERS, type Filters } from './api'
import { command, options } from './command'

const none = Object.fromEntries(FILTERS.map((name) => [name, ''])) as Filters

it.each([
  [
    ['instances', 'hold', 'orders', 'order-1', '--reason', 'look'],
    'millrace instances hold orders order-1 --reason look',
  ],
  [['x', 'two words'], "millrace x 'two words'"],
  [['x', "it's $HOME"], String.raw`millrace x 'it'\''s $HOME'`],
  [['x', ''], "millrace x ''"],
])('%j is written as a shell reads it', (words, line) => {
  expect(command(...words)).toBe(line)
})

it('filters are options, those that are off are none', () => {
  const filters = { ...none, state: 'paying', attention: 'true', held: '', finished: 'false', olderThan: '5m' }
  expect(options(filters)).toEqual(['--state', 'paying', '--finished', 'false', '--attention', '--older-than', '5m'])
})
