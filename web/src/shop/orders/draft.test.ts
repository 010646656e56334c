import { beforeEach, describe, expect, it } from 'vitest'
import { draft, dropDraft, keepDraft } from './draft'

beforeEach(() => sessionStorage.clear())

describe('the draft of a purchase', () => {
  it('is what the form holds, until it is dropped', () => {
    const form = document.createElement('form')
    form.innerHTML = '<input name="city" value="Portland"><input name="payment" type="radio" value="a" checked>'
    keepDraft(form)
    expect(draft()).toEqual({ city: 'Portland', payment: 'a' })
    dropDraft()
    expect(draft()).toEqual({})
  })

  it.each(['nonsense', 'null', '7', '[1]', '{"city":{}}'])('bears %s in the storage', (text) => {
    sessionStorage.setItem('checkout', text)
    expect(draft()).toEqual({})
  })
})
