/** The dialog that somebody has left to sign in: it opens again when they are back in the editor, and then no more. */
import * as session from '../../shared/desk/session'

export type Left = 'creating' | 'saving'

let left: Left | undefined

export function leave(dialog: Left): void {
  left = dialog
}

/** It is open again. */
export function arrive(dialog: Left): void {
  if (left === dialog) left = undefined
}

/** Which one opens now. A save goes on only for who has signed in; without, it would ask for the same again. */
export function toReopen(): Left | undefined {
  if (left === 'saving' && session.get() === null) left = undefined
  return left
}
