/** One call of the API. Paths, parameters, bodies and answers are checked against what the host says about itself. */
import * as session from '../session'
import { refused, unanswered } from './errors'
import type { paths } from './schema'

/** After which an answer is not waited for. */
const PATIENCE_MS = 15_000

type Method = 'get' | 'post' | 'put'
type PathOf<M extends Method> = { [P in keyof paths]: paths[P] extends { [K in M]: object } ? P : never }[keyof paths]
type Operation<M extends Method, P extends PathOf<M>> = paths[P] extends { [K in M]: infer O } ? O : never

type Parameters<O> = O extends { parameters: infer A } ? A : never
type Part<O, K extends string> = Parameters<O> extends { [_ in K]?: infer V } ? Exclude<V, undefined> : never
type Body<O> = O extends { requestBody?: { content: { 'application/json': infer B } } } ? B : never
type Success<O> = O extends { responses: infer R }
  ? {
      [S in keyof R]: S extends 200 | 201
        ? R[S] extends { content: { 'application/json': infer T } }
          ? T
          : never
        : never
    }[keyof R]
  : never

type Given<O> = {
  signal?: AbortSignal | undefined
  /** Of a request that is made in nobody's name. */
  anonymous?: true
} & ([Part<O, 'path'>] extends [never] ? { path?: never } : { path: Part<O, 'path'> }) &
  ([Part<O, 'query'>] extends [never] ? { query?: never } : { query?: Part<O, 'query'> }) &
  ([Part<O, 'header'>] extends [never] ? { header?: never } : { header?: Part<O, 'header'> }) &
  ([Body<O>] extends [never] ? { body?: never } : { body?: Body<O> })

/** @throws an ApiError, or what `signal` was aborted with. */
export async function call<M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  given: Given<Operation<M, P>>,
): Promise<{ data: Success<Operation<M, P>>; headers: Headers }> {
  const token = given.anonymous ? null : session.token.get()
  const headers = new Headers({ Accept: 'application/json', ...(given.header as object | undefined) })
  if (token) headers.set('Authorization', `Bearer ${token}`)
  if (given.body !== undefined) headers.set('Content-Type', 'application/json')
  const response = await send(
    address(path, given.path as object | undefined, given.query as object | undefined),
    given.signal,
    {
      method: method.toUpperCase(),
      // answers.ts keeps what is worth keeping, and knows when it is old.
      cache: 'no-store',
      headers,
      ...(given.body !== undefined && { body: JSON.stringify(given.body) }),
    },
  )

  const body: unknown = await response.json().catch(() => undefined)
  // A refused token is of no use any more. Whoever has logged in anew meanwhile keeps the new one.
  if (response.status === 401 && token && token === session.token.get()) session.expire()
  if (!response.ok || body === undefined) throw refused(response, body)
  return { data: body as Success<Operation<M, P>>, headers: response.headers }
}

async function send(url: string, signal: AbortSignal | undefined, init: RequestInit): Promise<Response> {
  const patience = AbortSignal.timeout(PATIENCE_MS)
  try {
    return await fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, patience]) : patience })
  } catch (problem) {
    // Whoever cancelled the call wants to hear just that.
    if (signal?.aborted) throw problem
    throw unanswered()
  }
}

export function address(path: string, params: object | undefined, query: object | undefined): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String((params as Record<string, unknown> | undefined)?.[name] ?? '')),
  )
  const search = new URLSearchParams({ ...query }).toString()
  return search ? `${filled}?${search}` : filled
}
