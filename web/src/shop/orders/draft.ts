/**
 * What a customer has filled in at the checkout, kept until it is bought, so that a login or a look elsewhere costs nobody their
 * typing. It belongs to that customer: nobody else is shown it.
 */
import { json, stored } from '../../shared/storage'

type Fields = Readonly<Record<string, string>>

interface Draft {
  /** The id of the user who typed it. */
  user: string
  fields: Fields
}

const kept = stored(
  'draft',
  json<Draft | null>(null, (value) => (isDraft(value) ? value : undefined)),
)

function isDraft(value: unknown): value is Draft {
  const { user, fields } = (value ?? {}) as Record<keyof Draft, unknown>
  if (typeof user !== 'string' || typeof fields !== 'object' || fields === null || Array.isArray(fields)) return false
  return Object.values(fields).every((field) => typeof field === 'string')
}

export function keepDraft(user: string, form: HTMLFormElement) {
  const fields = [...new FormData(form)].filter((field): field is [string, string] => typeof field[1] === 'string')
  kept.set({ user, fields: Object.fromEntries(fields) })
}

/** Nothing of what anybody else has typed. */
export function draft(user: string): Fields {
  const found = kept.latest()
  return found?.user === user ? found.fields : {}
}

export function dropDraft() {
  kept.set(null)
}

/** Whoever comes next on this device leaves nothing of who was here before. */
export function dropDraftOfOthers(user: string) {
  if (kept.latest() && kept.get()?.user !== user) dropDraft()
}
