/** What stands in a list is told apart also where two have the same name, or none. */
import { render, screen } from '@testing-library/react'
import { beforeEach, expect, it, type MockInstance, vi } from 'vitest'
import { TransitionFields } from './editor/MachineForm.tsx'
import { lens } from './lens.ts'
import type { Plan } from './operator/config'
import { Consequences } from './operator/ui/Consequences'

let said: MockInstance
beforeEach(() => {
  said = vi.spyOn(console, 'error').mockImplementation(() => {})
})

it('a transition is asked for both its states when neither is known', () => {
  const model = lens(`workflows:
  statemachine:
    definitions:
      - name: shipping
        initialState: packed
        states: {packed: {}, sent: {isFinal: true}}
        transitions: {}
`)
  const machine = model.machines[0]
  if (!machine) throw new Error('there is no machine')
  const form = (from: string | null, to: string | null) => (
    <TransitionFields model={model} machine={machine} from={from} to={to} />
  )
  const { rerender } = render(form(null, null))
  expect(screen.getAllByRole<HTMLSelectElement>('combobox').map(({ name }) => name)).toEqual(['from', 'to', 'maker'])
  rerender(form('packed', 'packed'))
  expect(screen.getByLabelText<HTMLSelectElement>('From').value).toBe('packed')
  expect(screen.getByLabelText<HTMLSelectElement>('To').value).toBe('packed')
  expect(said).not.toHaveBeenCalled()
})

it('two values of one name are both told', () => {
  const plan: Plan = {
    valid: true,
    problems: [],
    digest: 'd',
    // An empty key is not told, so that both are `config / timeout`.
    changes: [
      { part: 'module step-payment', pointer: '/config/timeout', from: '30s', to: '10s' },
      { part: 'module step-payment', pointer: '/config//timeout', from: '3s', to: '1s' },
    ],
    takes: 'live',
    live: ['module step-payment'],
    restart: [],
    stranded: [],
  }
  render(<Consequences plan={plan} />)
  expect(screen.getAllByRole('definition').map(({ textContent }) => textContent)).toEqual([
    '30s becomes 10s',
    '3s becomes 1s',
  ])
  expect(said).not.toHaveBeenCalled()
})
