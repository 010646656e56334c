/** One call of the API in the name of whoever is signed in. Every failure is an ApiError; a call that needs the password asks for it. */
import { ApiError, refused, unanswered } from '../../api/errors'
import { nextCursor } from '../../api/pages'
import * as session from '../session'
import * as sudo from '../sudo'

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface Ask {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  query?: Query
  /** Sent as JSON; a Blob as what it is. */
  body?: unknown
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal | null
  /** Without the token: a login. */
  isAnonymous?: boolean
  /** A refusal is about what was typed, not about the session: the password once more. */
  keepsSession?: boolean
  /** A long answer takes what it takes. */
  isUnhurried?: boolean
}

export interface Answer<T> {
  data: T
  headers: Headers
}

/** After which an answer is not waited for. */
const PATIENCE_MS = 15_000
const LONG_PATIENCE_MS = 600_000

/** What a person says about a dialog that they close is no failure. */
export class Cancelled extends ApiError {
  constructor() {
    super('conflict', 'Your password was not given, so nothing was changed.')
  }
}

export async function call<T>(path: string, ask: Ask = {}): Promise<Answer<T>> {
  try {
    return await once<T>(path, ask)
  } catch (error) {
    if (!sudo.isWanted(error)) throw error
    if (!(await sudo.confirm())) throw new Cancelled()
    return once<T>(path, ask)
  }
}

async function once<T>(path: string, ask: Ask): Promise<Answer<T>> {
  const response = await send(path, ask)
  const body = await read(response)
  if (!response.ok) throw refused(response, body)
  return { data: body as T, headers: response.headers }
}

/** The answer as it comes, for what is no JSON. */
export async function send(path: string, ask: Ask): Promise<Response> {
  const {
    method = 'GET',
    query = {},
    body,
    headers = {},
    signal,
    isAnonymous = false,
    keepsSession = false,
    isUnhurried = false,
  } = ask
  const url = new URL(path, location.origin)
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value))
  const token = isAnonymous ? undefined : session.get()?.token
  const patience = AbortSignal.timeout(isUnhurried ? LONG_PATIENCE_MS : PATIENCE_MS)
  const isPlain = body === undefined || body instanceof Blob
  const response = await fetch(url, {
    method,
    cache: 'no-store',
    signal: signal ? AbortSignal.any([signal, patience]) : patience,
    headers: {
      Accept: 'application/json',
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(!isPlain && { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: isPlain ? (body as Blob) : JSON.stringify(body) }),
  }).catch((problem: unknown) => {
    // Whoever cancelled the call wants to hear just that.
    throw problem instanceof Error && problem.name === 'AbortError' ? problem : unanswered()
  })
  // Whoever has signed in anew meanwhile keeps the new token.
  if (response.status === 401 && token && !keepsSession && token === session.get()?.token) session.expire()
  return response
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text().catch(() => {
    throw unanswered()
  })
  try {
    return text ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}

/** A part of a list. */
export interface Page<T> {
  items: T[]
  /** Leads to the next part. */
  cursor: string | undefined
}

export async function page<T>(path: string, query: Query, signal: AbortSignal | null): Promise<Page<T>> {
  const { data, headers } = await call<T[] | { items?: T[]; nextCursor?: string | null }>(path, { query, signal })
  if (Array.isArray(data)) return { items: data, cursor: nextCursor(headers) }
  return { items: data.items ?? [], cursor: data.nextCursor ?? nextCursor(headers) }
}

/** Names one deed, however often it is sent. Not every page came by HTTPS, so `crypto.randomUUID` may be missing. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
