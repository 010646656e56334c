/** From an order and its history to the eight stages that a customer sees. Pure. */
import type { Order, Transition } from '../api/resources'
import { isUnanswered } from './refusal'

export type StageStatus = 'done' | 'active' | 'failed' | 'stopped' | 'waiting'

export interface Stage {
  state: string
  label: string
  status: StageStatus
  /** When it was reached. */
  at: string | undefined
  /** How long the last visit took, in milliseconds; for work that has ended. */
  took: number | undefined
  /** How often it was begun, with each visit's own attempts. */
  attempts: number
  /** Only the end of the history is known: there may have been more attempts. */
  isCut: boolean
  /** What the step did or said. */
  note: string | undefined
  /** Which component answered, and the version of it. */
  component: string | undefined
  digest: string | undefined
}

const STAGES = [
  { state: 'new', label: 'Created' },
  { state: 'validating', label: 'Checking Inventory' },
  { state: 'validated', label: 'Inventory OK' },
  { state: 'paying', label: 'Processing Payment' },
  { state: 'paid', label: 'Payment OK' },
  { state: 'shipping', label: 'Shipping' },
  { state: 'shipped', label: 'Shipped' },
  { state: 'delivered', label: 'Delivered' },
] as const

/** States in which a step is at work, and the one that its refusal leads to. */
const WORK: Record<string, string> = { validating: 'failed', paying: 'payment_failed', shipping: 'ship_failed' }

export function stages(order: Order): Stage[] {
  const reached = position(order)
  return STAGES.map(({ state, label }, index) => {
    const status = statusAt(index, reached, order)
    const isReached = index <= reached
    return {
      state,
      label,
      status,
      at: index === 0 ? order.createdAt : undefined,
      note: isReached ? note(state, status, order) : undefined,
      isCut: order.historyNext !== undefined,
      ...(isReached ? lastVisit(order.history, state, status) : NO_VISIT),
    }
  })
}

const NO_VISIT = { took: undefined, attempts: 0, component: undefined, digest: undefined }

/** When a stage was entered, and what its step answered, if it is over. */
function lastVisit(history: Transition[], state: string, status: StageStatus) {
  const entered = history.findLast(({ to }) => to === state)
  const left = status === 'active' ? undefined : history.findLast(({ from }) => from === state)
  const isWork = state in WORK
  return {
    ...(entered && { at: entered.at }),
    took: isWork && entered && left ? Date.parse(left.at) - Date.parse(entered.at) : undefined,
    attempts: isWork ? attempts(history, state) : 0,
    component: left?.component ?? undefined,
    digest: left?.digest ?? undefined,
  }
}

/** The last stage that the order is in or came to, whatever became of it there. */
function position(order: Order): number {
  const here = indexOf(order.state)
  if (here >= 0) return here
  const refused = STAGES.findIndex(({ state }) => WORK[state] === order.state)
  if (refused >= 0) return refused
  const visited = order.history.flatMap(({ from, to }) => [from, to]).reverse()
  return Math.max(indexOf(visited.find((state) => indexOf(state) >= 0) ?? evidence(order)), 0)
}

/** A list tells no history; what the steps have left behind says how far an order came. */
function evidence({ results: { reservedUntil, reason } }: Order): string {
  if (!reservedUntil) return 'new'
  return reason ? 'paying' : 'validated'
}

function indexOf(name: string): number {
  return STAGES.findIndex(({ state }) => state === name)
}

function statusAt(index: number, reached: number, order: Order): StageStatus {
  if (index < reached) return 'done'
  if (index > reached) return order.isFinal ? 'stopped' : 'waiting'
  const state = STAGES[index]?.state ?? ''
  if (order.state === state) return state in WORK ? 'active' : 'done'
  return state in WORK ? 'failed' : 'done'
}

/** Each visit counts with the attempts that its answer says it took; a visit under way is one. */
function attempts(history: Transition[], state: string): number {
  const visits = history.filter(({ to }) => to === state).length
  const answers = history.filter(({ from, component }) => from === state && component)
  return answers.reduce((sum, { attempt }) => sum + (attempt ?? 1), 0) + Math.max(visits - answers.length, 0)
}

// These words share none with the labels of the stages, so that each label stands once on the page.
function note(state: string, status: StageStatus, order: Order): string | undefined {
  const isSilent = isUnanswered(order, state)
  const units = order.items.reduce((sum, { quantity }) => sum + quantity, 0)
  switch (state) {
    case 'new':
      return `We have your order of ${units} ${units === 1 ? 'item' : 'items'}.`
    case 'validating':
      return (
        { done: 'Everything is on the shelf.', failed: isSilent ? 'We could not look.' : 'Not enough on the shelf.' }[
          status as string
        ] ?? 'Counting what is on the shelf.'
      )
    case 'validated':
      return 'Your items are set aside for you.'
    case 'paying':
      return (
        {
          done: 'Your bank said yes.',
          failed: isSilent ? 'No answer from your bank.' : 'Your bank said no.',
        }[status as string] ?? 'Asking your bank.'
      )
    case 'paid':
      return 'Thank you.'
    case 'shipping':
      return (
        { done: 'Packed and labelled.', failed: 'No label yet.' }[status as string] ??
        'Packing, and asking for a label.'
      )
    case 'shipped':
      return order.shipping.city ? `On its way to ${order.shipping.city}.` : 'On its way to you.'
    default:
      return 'Enjoy.'
  }
}
