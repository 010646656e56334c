/** A change that somebody is asked about before it is made. */
import type { Change } from '../commands.ts'
import { applied, difference, Refusal } from '../edits.ts'
import { lens, type Model } from '../lens.ts'
import type { Path } from '../source.ts'

export type Gesture = (model: Model) => Change

export interface Proposal {
  /** What it does, as it is called in the history: `Add a timer to payment_failed`. */
  title: string
  /** Why somebody could want it, in a sentence or two. */
  why: string
  /** Where it is about, if it is about one place. */
  path: Path | null
  /** Throws a refusal where it cannot be made. */
  make: Gesture
  /** What is left to do outside of the config. */
  left: readonly string[]
}

/** Several gestures, each on what the one before left, as one change. */
export function inTurn(model: Model, label: string, gestures: readonly Gesture[]): Change {
  const before = model.source.text
  let text = before
  for (const gesture of gestures) text = applied(text, gesture(lens(text)).edits)
  // The text that is shown stays among those that are read already.
  lens(before)
  return { label, edits: difference(before, text) }
}

/** The text that a proposal leaves, with what it is called, or why it cannot be made. */
export function outcomeOf(
  model: Model,
  { make }: Pick<Proposal, 'make'>,
): { text: string; label: string } | { refusal: string } {
  try {
    const { edits, label } = make(model)
    return { text: applied(model.source.text, edits), label }
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.message }
    throw error
  }
}

/** A name that is not taken: the one that is wanted, or with a number. */
export function free(wanted: string, taken: readonly string[]): string {
  let name = wanted
  for (let number = 2; taken.includes(name); number++) name = `${wanted}_${number}`
  return name
}
