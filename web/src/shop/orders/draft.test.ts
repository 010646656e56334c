import { beforeEach, describe, expect, it } from 'vitest'
import { draft, dropDraft, dropDraftOfOthers, keepDraft } from './draft'

const form = document.createElement('form')
form.innerHTML = '<input name="city" value="Portland"><input name="payment" type="radio" value="a" checked>'

beforeEach(() => localStorage.clear())

describe('the draft of a purchase', () => {
  it('is what the form holds, until it is dropped', () => {
    keepDraft('ada', form)
    expect(draft('ada')).toEqual({ city: 'Portland', payment: 'a' })
    dropDraft()
    expect(draft('ada')).toEqual({})
  })

  it('is of who typed it, and goes when another comes', () => {
    keepDraft('ada', form)
    expect(draft('grace')).toEqual({})
    dropDraftOfOthers('ada')
    expect(draft('ada')).toEqual({ city: 'Portland', payment: 'a' })
    dropDraftOfOthers('grace')
    expect(draft('ada')).toEqual({})
    expect(localStorage.getItem('draft')).toBeNull()
  })

  it.each(['nonsense', 'null', '7', '[1]', '{"user":"ada","fields":{"city":{}}}', '{"user":"ada","fields":[1]}'])(
    'bears %s in the storage',
    (text) => {
      localStorage.setItem('draft', text)
      expect(draft('ada')).toEqual({})
    },
  )
})
