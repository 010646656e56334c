/** What a person says about the stock, as a move of the ledger. Pure. */
import type { NewMove, Reason } from './api/catalogue'

export type Kind = Reason

/** Whether what is typed adds, takes away, or says so itself. */
export const SIGNS: Readonly<Record<Kind, 'plus' | 'minus' | 'either' | 'none'>> = {
  received: 'plus',
  returned: 'plus',
  damaged: 'minus',
  correction: 'either',
  counted: 'none',
}

/** Nothing where what was typed is no number of units, or moves nothing. */
export function moveOf(kind: Kind, typed: string, expected: number, note: string): NewMove | undefined {
  const units = Number(typed)
  if (typed.trim() === '' || !Number.isSafeInteger(units)) return undefined
  const said = { reason: kind, ...(note.trim() && { note: note.trim() }) }
  if (kind === 'counted') return units >= 0 ? { ...said, counted: units, expected } : undefined
  if (units === 0 || (units < 0 && SIGNS[kind] !== 'either')) return undefined
  return { ...said, delta: SIGNS[kind] === 'minus' ? -units : units }
}
