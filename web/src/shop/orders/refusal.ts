/** Why a step did not go through, in the customer's words. Pure. */
import type { Order, Transition } from '../api/resources'

const REFUSALS = new Set(['failed', 'payment_failed', 'ship_failed'])

/** Whether an order comes to this state when a step does not go through. */
export function isRefusal(state: string): boolean {
  return REFUSALS.has(state)
}

/** What no answer means, by the state in which it did not come. */
const UNANSWERED: Record<string, string> = {
  validating: 'We could not look at our shelves.',
  paying: 'Your bank did not answer in time.',
  shipping: 'The carrier did not answer in time.',
}

/** The transition by which the order last left a step that did not go through; of `state` alone if it is given. */
function refusal({ history }: Order, state?: string): Transition | undefined {
  return history.findLast(({ from, to }) => isRefusal(to) && (!state || from === state))
}

/** Whether nobody said no: the step only got no answer, however often it asked. */
export function isUnanswered(order: Order, state?: string): boolean {
  return refusal(order, state)?.cause === 'failed'
}

/**
 * Why the order is where it is. A step that said no says why itself; what a machine says of a silent one is of no use to a customer.
 * An order is not cancelled because a card was declined, but because somebody has given up.
 */
export function reason(order: Order): string | undefined {
  if (order.state === 'cancelled') return ending(order)
  const { from = '' } = refusal(order) ?? {}
  return (isUnanswered(order) && UNANSWERED[from]) || order.results.reason
}

function ending({ history, historyNext }: Order): string | undefined {
  const last = history.findLast(({ to }) => to === 'cancelled')
  if (last?.from === 'ship_failed') return 'It could not be shipped.'
  if (last?.cause === 'api') return 'You cancelled it.'
  if (last?.from !== 'payment_failed') return undefined
  const tries = history.filter(({ to }) => to === 'payment_failed').length
  if (tries < 2) return 'The payment did not go through.'
  return `The payment did not go through in ${tries} tries${historyNext === undefined ? '' : ' or more'}.`
}
