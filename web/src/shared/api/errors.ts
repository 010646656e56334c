/** What can go wrong when the API is called, split by what the page does about it. */

export type Failure =
  | 'unreachable' // no answer: the customer is offline or the store is down
  | 'unauthorized'
  | 'missing'
  | 'conflict' // it does not fit what is there now
  | 'invalid' // the customer can correct it
  | 'busy' // later, see retryAfter
  | 'broken'

/** What answers, in the words of the page: its own application says what that is. */
let host = 'store'

/** Has messages speak of this instead of the store. */
export function speakOf(name: string) {
  host = name
}

export class ApiError extends Error {
  readonly failure: Failure
  /** Words of the API by field, where it named one: `email`, `shipping.zip`. */
  readonly fields: Readonly<Record<string, string>>
  /** Seconds. */
  readonly retryAfter: number | undefined
  /** What the API has answered, with its members beyond those of every problem. */
  readonly problem: Readonly<Record<string, unknown>>

  constructor(failure: Failure, message: string, rest: Rest = {}) {
    super(message)
    this.name = 'ApiError'
    this.failure = failure
    this.fields = rest.fields ?? {}
    this.retryAfter = rest.retryAfter
    this.problem = rest.problem ?? {}
  }
}

interface Rest {
  fields?: Record<string, string>
  retryAfter?: number
  problem?: Record<string, unknown>
}

interface Problem {
  detail?: string
  error?: string
  errors?: { pointer: string; detail: string }[] | null
}

const BY_STATUS: Record<number, Failure> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'conflict',
  404: 'missing',
  409: 'conflict',
  412: 'conflict',
  413: 'invalid',
  422: 'invalid',
  429: 'busy',
  502: 'unreachable',
  503: 'busy',
  504: 'unreachable',
}

/** From an answer that is no success; `body` is what it held, whatever that was. */
export function refused(response: Response, body: unknown): ApiError {
  const failure = BY_STATUS[response.status] ?? 'broken'
  const problem: Problem = typeof body === 'object' && body !== null ? body : {}
  const fields = Object.fromEntries(
    (problem.errors ?? []).map(({ pointer, detail }) => [fieldOf(pointer), sentence(detail)]),
  )
  const seconds = Number(response.headers.get('retry-after'))
  return new ApiError(failure, problem.detail ?? problem.error ?? `The ${host} answered ${response.status}.`, {
    fields,
    problem: { ...problem },
    ...(seconds > 0 ? { retryAfter: seconds } : {}),
  })
}

/** From a call that got no answer. */
export function unanswered(): ApiError {
  return new ApiError('unreachable', `No answer from the ${host}.`)
}

/** `/shipping/zip` is `shipping.zip`. */
function fieldOf(pointer: string): string {
  return pointer.replace(/^\//, '').replaceAll('/', '.')
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** What happened, in the customer's words, and what they can do. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return 'Something unexpected happened on this page. Reloading it usually helps.'
  switch (error.failure) {
    case 'unreachable':
      return navigator.onLine
        ? `The ${host} does not answer right now. Try again in a moment.`
        : 'You are offline. Try again when you are connected.'
    case 'unauthorized':
      return 'Your session has ended. Log in again to go on.'
    case 'busy':
      if (error.problem.code === 'limit_per_owner') return tooManyUnpaid(error.problem.limit)
      return `The ${host} is busy. Try again ${error.retryAfter ? `in ${inSeconds(error.retryAfter)}` : 'in a moment'}.`
    case 'broken':
      return `Something broke in the ${host}. It was noted; try again in a moment.`
    case 'invalid':
      return Object.values(error.fields)[0] ?? sentence(error.message)
    default:
      return sentence(error.message)
  }
}

function tooManyUnpaid(limit: unknown): string {
  const orders = limit === 1 ? 'an order that is' : `${typeof limit === 'number' ? limit : 'several'} orders that are`
  return `You have ${orders} not paid yet. Pay or cancel one under Orders, then try again.`
}

function inSeconds(seconds: number): string {
  return seconds === 1 ? 'one second' : `${seconds} seconds`
}

/** Whether the same call may go better the next time. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiError && ['unreachable', 'busy', 'broken'].includes(error.failure)
}
