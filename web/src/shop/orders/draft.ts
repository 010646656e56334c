/** What was filled in at the checkout: kept in this tab until it is bought, so that a login or a look elsewhere costs nobody their typing. */

const KEPT = 'checkout'

export type Draft = Readonly<Record<string, string>>

export function keepDraft(form: HTMLFormElement) {
  const fields = [...new FormData(form)].filter(([, value]) => typeof value === 'string')
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(fields)))
  } catch {
    // Then it is filled in again.
  }
}

export function draft(): Draft {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(KEPT) ?? '{}')
    const fields = Object.entries(kept ?? {}).filter(([, value]) => typeof value === 'string')
    return Object.fromEntries(fields)
  } catch {
    return {}
  }
}

export function dropDraft() {
  try {
    sessionStorage.removeItem(KEPT)
  } catch {
    // Nothing was kept.
  }
}
