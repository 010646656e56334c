/** The API as it describes itself: paths, parameters, bodies and answers are checked against that. */
import createClient from 'openapi-fetch'
import * as session from '../session'
import { refused, unanswered } from './errors'
import type { paths } from './schema'

/** After which an answer is not waited for. */
const PATIENCE_MS = 15_000

/** In nobody's name. */
export const anonymous = client(send)

/** In the name of whoever is logged in. */
export const http = client(async (request) => {
  const token = session.token.get()
  if (token) request.headers.set('Authorization', `Bearer ${token}`)
  const response = await send(request)
  // A refused token is of no use any more. Whoever has logged in anew meanwhile keeps the new one.
  if (response.status === 401 && token && token === session.token.get()) session.expire()
  return response
})

function client(fetch: (request: Request) => Promise<Response>) {
  // The queries keep what is worth keeping, and know when it is old.
  return createClient<paths>({
    baseUrl: location.origin,
    cache: 'no-store',
    headers: { Accept: 'application/json' },
    fetch,
  })
}

async function send(request: Request): Promise<Response> {
  return fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]) })
}

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** @throws an ApiError, or what the call was aborted with. */
export async function answered<T>(call: Promise<Answer<T>>): Promise<{ data: T; headers: Headers }> {
  const { data, error, response } = await call.catch((problem: unknown) => {
    // Whoever cancelled the call wants to hear just that.
    throw problem instanceof Error && problem.name === 'AbortError' ? problem : unanswered()
  })
  if (data === undefined) throw refused(response, error)
  return { data, headers: response.headers }
}

/** For calls that answer with no body. @throws an ApiError, or what the call was aborted with. */
export async function done(call: Promise<Answer<unknown>>): Promise<void> {
  const { error, response } = await call.catch((problem: unknown) => {
    throw problem instanceof Error && problem.name === 'AbortError' ? problem : unanswered()
  })
  if (!response.ok) throw refused(response, error)
}
