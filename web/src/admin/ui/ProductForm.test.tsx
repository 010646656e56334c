import { fireEvent, render, screen } from '@testing-library/react'
import { expect, it } from 'vitest'
import type { ProductData } from '../api/catalogue'
import { carryDraft, draftKey } from '../drafts'
import { type ProductDraft, ProductForm } from './ProductForm'

const desk: ProductData = { name: 'Desk', price: 10, category: '', description: '', image: '', status: 'active' }
const submit = { run: () => {}, isPending: false, error: undefined }

function show(draft: string) {
  return render(<ProductForm product={desk} draft={draft} action="Save" submit={submit} />)
}

function name(): HTMLInputElement {
  return screen.getByLabelText('Name')
}

it('whoever leaves the form finds what was typed, until it is discarded', () => {
  const own = draftKey('grace', 'desk', 1)
  const first = show(own)
  fireEvent.change(name(), { target: { value: 'A larger desk' } })
  expect(dispatchEvent(new Event('beforeunload', { cancelable: true })), 'the browser asks before it leaves').toBe(
    false,
  )
  first.unmount()
  expect(dispatchEvent(new Event('beforeunload', { cancelable: true }))).toBe(true)

  const other = show(draftKey('ada', 'desk', 1))
  expect(name().value, 'nobody else sees it').toBe('Desk')
  other.unmount()

  const again = show(own)
  expect(name().value).toBe('A larger desk')
  fireEvent.click(screen.getByRole('button', { name: 'Discard it' }))
  expect(name().value).toBe('Desk')
  expect(screen.queryByRole('status')).toBeNull()
  again.unmount()
  show(own)
  expect(name().value).toBe('Desk')
})

it('what is typed stays when the product is changed beside it', () => {
  const [before, after] = [draftKey('grace', 'desk', 2), draftKey('grace', 'desk', 3)]
  const form = show(before)
  fireEvent.change(name(), { target: { value: 'A small desk' } })
  form.unmount()
  carryDraft<ProductDraft>(before, after, (typed) => ({ ...typed, mine: { ...typed.mine, status: 'retired' } }))
  show(after)
  expect(name().value).toBe('A small desk')
  expect(screen.getByLabelText<HTMLSelectElement>('Status').value).toBe('retired')
})
