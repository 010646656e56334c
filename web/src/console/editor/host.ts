/** The process behind this page, if there is one: it tells its config and its schema, and judges a text as `millrace validate` does. */
import * as session from '../../shared/desk/session'
import { PREFIX } from '../operator/api'
import { at, list, part, text } from '../references.ts'

/** A problem, as the host tells it. */
interface Told {
  severity: 'error' | 'warning'
  message: string
  help: string
  line: number
  column: number
  end: { line: number; column: number } | null
  module: string | null
  code: string
  pointer: string
}

/** What the host says of a text: a verdict, or why there is none. */
export type Verdict =
  | { kind: 'judged'; problems: Told[] }
  | { kind: 'refused'; message: string }
  | { kind: 'away' }
  | { kind: 'superseded' }

export type Loaded =
  | { kind: 'loaded'; path: string; text: string; digest: string }
  | { kind: 'refused'; message: string }
  | { kind: 'away' }

/** `null`: nothing answers, or something that is no process of this kind. */
async function call(path: string, init: RequestInit = {}): Promise<{ status: number; body: unknown } | null> {
  const token = session.get()?.token
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }
  try {
    const answer = await fetch(`${PREFIX}${path}`, { ...init, headers })
    return { status: answer.status, body: await answer.json() }
  } catch (error) {
    if (init.signal?.aborted) throw error
    return null
  }
}

export async function check(config: string, signal?: AbortSignal): Promise<Verdict> {
  try {
    const body = JSON.stringify({ text: config })
    const answer = await call('/config/check', { method: 'POST', body, ...(signal ? { signal } : {}) })
    if (!answer) return { kind: 'away' }
    if (answer.status === 200) return { kind: 'judged', problems: list(at(answer.body, 'problems')).map(told) }
    return refusal(answer)
  } catch {
    return { kind: 'superseded' }
  }
}

/** The config of the process, as its file is now. */
export async function load(): Promise<Loaded> {
  const answer = await call('/config')
  if (!answer) return { kind: 'away' }
  const [path, config] = [text(at(answer.body, 'path')), text(at(answer.body, 'text'))]
  const digest = text(at(answer.body, 'digest')) ?? ''
  if (answer.status === 200 && path !== undefined && config !== undefined)
    return { kind: 'loaded', path, text: config, digest }
  return refusal(answer)
}

/** The schema of the process; `null` if there is none. */
export async function loadSchema(): Promise<unknown> {
  const answer = await call('/schema')
  return answer?.status === 200 ? answer.body : null
}

/** What another server answers to an address that it does not know is no refusal. */
function refusal({
  status,
  body,
}: {
  status: number
  body: unknown
}): { kind: 'refused'; message: string } | { kind: 'away' } {
  if (status !== 401 && status !== 403 && status !== 503) return { kind: 'away' }
  return { kind: 'refused', message: text(part(body).detail) ?? `the process answers ${status}` }
}

/** A problem as it travels. */
export function told(problem: unknown): Told {
  const own = part(problem)
  const end = part(own.end)
  return {
    severity: own.severity === 'warning' ? 'warning' : 'error',
    message: text(own.message) ?? '',
    help: text(own.help) ?? '',
    line: Number(own.line),
    column: Number(own.column),
    end: own.end ? { line: Number(end.line), column: Number(end.column) } : null,
    module: text(own.module) ?? null,
    code: text(own.code) ?? '',
    pointer: text(own.pointer) ?? '',
  }
}
