/** A question to the model of the process: what it proposes is tried on the text and judged, and what is wrong with it is told to it, twice at most. */
import { ApiError } from '../../../shared/api/errors'
import { type ModelEdit, proposed } from '../../copilot/model.ts'
import { outcomeOf } from '../../copilot/proposal.ts'
import { lens } from '../../lens.ts'
import * as api from '../../operator/api'
import { pointerTo } from '../../pointer.ts'
import type { Path } from '../../source.ts'
import type { Problem } from '../judge.ts'
import { added } from './judging.ts'
import type { Offer } from './ProposalCard.tsx'

/** How often it is asked for one question: the process counts, which also asks it again where its answer is of no use. */
const MOST_ASKED = 3
/** Characters of a question that a proposal is called by. */
const MOST_TITLE = 60

export type Asked =
  | { kind: 'offer'; offer: Offer }
  /** It has only something to say. */
  | { kind: 'said'; words: string }
  | { kind: 'failed'; message: string }
  | { kind: 'stopped' }

interface Asking {
  question: string
  text: string
  selected: Path | null
  /** What is wrong with the text as it is. */
  problems: readonly Problem[]
  judge: (text: string) => Promise<readonly Problem[] | null>
  over: AbortSignal
  /** Told before the model is asked again. */
  onAgain: (problems: readonly string[]) => void
}

export async function ask(asking: Asking): Promise<Asked> {
  try {
    return await asked(asking)
  } catch (error) {
    if (asking.over.aborted) return { kind: 'stopped' }
    if (error instanceof ApiError) return { kind: 'failed', message: failure(error) }
    throw error
  }
}

async function asked(asking: Asking): Promise<Asked> {
  const { question, text, selected, over } = asking
  const earlier: api.Question['earlier'] = []
  const place = selected && pointerTo(selected)
  let soFar = 0
  for (;;) {
    const answer = await api.askCopilot({ question, text, selected: place, earlier, asked: soFar }, over)
    const { edits } = answer
    soFar = answer.asked
    if (edits.length === 0) return { kind: 'said', words: answer.explanation }
    const tried = await trial(asking, edits)
    if (over.aborted) return { kind: 'stopped' }
    if (tried.wrong.length === 0 || soFar >= MOST_ASKED) return outcomeFor(asking, tried, answer)
    asking.onAgain(tried.wrong)
    earlier.push({ edits, problems: tried.wrong })
  }
}

/** The text that edits leave, if they can be made, and what is wrong with them. */
interface Trial {
  to: string | null
  wrong: string[]
}

async function trial({ question, text, problems, judge }: Asking, edits: readonly ModelEdit[]): Promise<Trial> {
  const outcome = outcomeOf(lens(text), { make: (model) => proposed(model, titleOf(question), edits) })
  // The text that is shown stays among those that are read already.
  lens(text)
  if ('refusal' in outcome) return { to: null, wrong: [outcome.refusal] }
  return { to: outcome.text, wrong: brought(problems, await judge(outcome.text)) }
}

function outcomeFor({ question, text }: Asking, { to, wrong }: Trial, answer: api.CopilotAnswer): Asked {
  if (to === null) return { kind: 'failed', message: `What it proposes cannot be made: ${wrong.join(' ')}` }
  if (to === text) return { kind: 'said', words: answer.explanation || 'It would change nothing.' }
  return { kind: 'offer', offer: offerOf(question, text, to, answer) }
}

function offerOf(
  question: string,
  from: string,
  to: string,
  { id, model, explanation, look }: api.CopilotAnswer,
): Offer {
  // That it could not be written down is no reason to trouble anybody: the text is theirs.
  const onApply = () => void api.applied(id).catch(() => undefined)
  return { title: titleOf(question), why: explanation, left: [], from, to, by: model, look, onApply }
}

/** As it is called among the steps to undo. */
function titleOf(question: string): string {
  const line = question.trim().replaceAll(/\s+/g, ' ')
  return line.length > MOST_TITLE ? `${line.slice(0, MOST_TITLE - 1)}…` : line
}

/** Errors that a change brings, with their places. */
function brought(before: readonly Problem[], after: readonly Problem[] | null): string[] {
  const errors = added(before, after ?? []).filter(({ severity }) => severity === 'error')
  return errors.map(({ pointer, message, help }) => `${pointer}: ${message}${help ? ` (${help})` : ''}`)
}

function failure({ message, failure, retryAfter }: ApiError): string {
  const words = message.charAt(0).toUpperCase() + message.slice(1)
  const sentence = /[.!?]$/.test(words) ? words : `${words}.`
  return failure === 'busy' && retryAfter ? `${sentence} Try again in ${retryAfter} s.` : sentence
}
