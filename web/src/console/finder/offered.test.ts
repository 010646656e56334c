import { expect, it } from 'vitest'
import { matching, type Offered } from './offered'

const offered = (label: string, group = 'Edit'): Offered => ({ id: label, label, group, run: () => undefined })
const ALL = [
  offered('Save'),
  offered('Undo'),
  offered('orders-api', 'Module'),
  offered('Add Static Files'),
  offered('History', 'Go to'),
]
const found = (wanted: string) => matching(ALL, wanted).map(({ label }) => label)

it('everything is offered to who has typed nothing', () => {
  expect(found('  ')).toEqual(ALL.map(({ label }) => label))
})

it('every part of what is typed has to be there, in any sequence and any case', () => {
  expect(found('API orders')).toEqual(['orders-api'])
  expect(found('module')).toEqual(['orders-api'])
  expect(found('nothing like it')).toEqual([])
})

it('what begins so comes before what has it somewhere', () => {
  expect(matching([offered('Resave'), offered('Do save'), offered('Save')], 'save').map(({ label }) => label)).toEqual([
    'Save',
    'Do save',
    'Resave',
  ])
})
