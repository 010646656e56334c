/** What a process is asked by its `operator.api`. */
import { ApiError } from '../../shared/api/errors'
import { call, newKey, page } from '../../shared/desk/api/call'
import type { components } from '../api/schema'

type Schemas = components['schemas']
export type Session = Schemas['OperatorSession']
export type InstanceRow = Schemas['InstanceRow']
export type Instance = Schemas['Instance']
export type Stage = Schemas['Stage']
export type Run = Schemas['Run']
export type Timer = Schemas['Timer']
export type HistoryEntry = Schemas['HistoryEntry']
export type DataChange = Schemas['DataChange']
export type FieldValue = Schemas['FieldValue']
export type Action = Schemas['InstanceAction']
export type Filter = Schemas['InstanceFilter']
export type BulkResult = Schemas['BulkResult']
export type Waiting = Schemas['Waiting']
export type SetAside = Schemas['SetAside']
export type Letter = Schemas['LetterBody']
export type Component = Schemas['Component']
export type ComponentDetail = Schemas['ComponentDetail']
export type Version = Schemas['ComponentVersion']
export type Process = Schemas['Process']
export type Template = Schemas['Template']
export type NewComponent = Schemas['NewComponent']
export type Trial = Schemas['TrialRequest']
export type TrialResult = Schemas['TrialResult']
export type Comparison = Schemas['CompareResult']
export type ComparedJob = Schemas['ComparedJob']
export type CanaryState = Schemas['CanaryState']
export type CanaryRuns = Schemas['CanaryRuns']
export type NewCanary = Schemas['CanaryRequest']
export type Question = Schemas['CopilotQuestion']
export type CopilotAnswer = Schemas['CopilotAnswer']

/** Below which the pages ask; the config holds an `operator.api` with pages to it. */
export const PREFIX = '/operator'

function at(...segments: readonly string[]): string {
  return [PREFIX, ...segments.map(encodeURIComponent)].join('/')
}

export async function session(signal: AbortSignal | null): Promise<Session> {
  const { data } = await call<Session | undefined>(at('session'), { signal })
  // Pages may have come from a server of files, which answers everything with a page.
  if (typeof data?.process !== 'string') throw new ApiError('missing', 'Nothing here is an operator.api.')
  return data
}

/** Who a token is of, whoever is signed in. */
export async function sessionOf(token: string): Promise<Session> {
  const headers = { Authorization: `Bearer ${token}` }
  return (await call<Session>(at('session'), { headers, isAnonymous: true })).data
}

/** What a list is narrowed down by, as the address says it. */
export const FILTERS = [
  'kind',
  'workflow',
  'state',
  'finished',
  'attention',
  'held',
  'owner',
  'digest',
  'text',
  'olderThan',
] as const
export type Filters = Readonly<Record<(typeof FILTERS)[number], string>>

const FLAGS: readonly string[] = ['finished', 'attention', 'held']

/** The same as a body says it. */
export function filterOf(filters: Filters): Filter {
  const given = FILTERS.filter((name) => filters[name] !== '')
  return Object.fromEntries(
    given.map((name) => [name, FLAGS.includes(name) ? filters[name] === 'true' : filters[name]]),
  )
}

export function instances(filters: Filters, cursor: string | undefined, signal: AbortSignal | null) {
  return page<InstanceRow>(at('instances'), { ...filters, cursor, limit: 100 }, signal)
}

export async function count(filters: Filters, signal: AbortSignal | null): Promise<Schemas['CountBody']> {
  return (await call<Schemas['CountBody']>(at('instances', 'counts'), { query: filters, signal })).data
}

export async function instance(kind: string, id: string, signal: AbortSignal | null): Promise<Instance> {
  return (await call<Instance>(at('instances', kind, id), { signal })).data
}

/** What was before, of a long history. */
export async function olderHistory(kind: string, id: string, before: number): Promise<Instance> {
  return (await call<Instance>(at('instances', kind, id), { query: { historyBefore: before } })).data
}

export interface Deed {
  action: Action
  reason: string
  /** Of `fire`. */
  transition?: string | undefined
}

export async function act(kind: string, id: string, { action, ...body }: Deed): Promise<Schemas['Done']> {
  return (await call<Schemas['Done']>(at('instances', kind, id, action), { method: 'POST', body })).data
}

interface Bulk extends Omit<Schemas['BulkRequest'], 'preview'> {
  preview?: boolean
}

/** How many a filter finds, and which come first; nothing is done. */
export async function preview(action: Action, filter: Filter): Promise<BulkResult> {
  const body: Bulk = { action, filter, reason: 'a look at how many there are', preview: true }
  return (await call<BulkResult>(at('instances', 'bulk'), { method: 'POST', body })).data
}

/** Done once for each `key`, and only if there are still as many as expected. */
export async function actOnAll(key: string, body: Bulk): Promise<BulkResult> {
  const headers = { 'Idempotency-Key': key }
  return (await call<BulkResult>(at('instances', 'bulk'), { method: 'POST', body, headers, isUnhurried: true })).data
}

export { newKey }

export async function waiting(signal: AbortSignal | null): Promise<Waiting> {
  return (await call<Waiting>(at('waiting'), { signal })).data
}

export type Mend = Schemas['MendRequest']
export type Mending = 'runs/release' | 'dead-letters/redrive' | 'dead-letters/discard'

export async function mend(what: Mending, body: Partial<Mend> & { reason: string }): Promise<Schemas['MendResult']> {
  const path = at('waiting', ...what.split('/'))
  return (await call<Schemas['MendResult']>(path, { method: 'POST', body, isUnhurried: true })).data
}

export async function allComponents(signal: AbortSignal | null): Promise<Component[]> {
  return (await call<Schemas['ComponentList']>(at('components'), { signal })).data.items
}

export async function component(name: string, signal: AbortSignal | null): Promise<ComponentDetail> {
  return (await call<ComponentDetail>(at('components', name), { signal })).data
}

/** `signature` is what the file beside it says that `millrace sign` has written. */
export async function upload(name: string, file: File, signature?: string): Promise<Version> {
  const headers = { 'Content-Type': 'application/wasm', ...(signature && { 'X-Signature': signature }) }
  const ask = { method: 'POST', body: file, headers, isUnhurried: true } as const
  return (await call<Version>(at('components', name, 'upload'), ask)).data
}

export async function tryOut(name: string, body: Trial): Promise<TrialResult> {
  return (await call<TrialResult>(at('components', name, 'trial'), { method: 'POST', body, isUnhurried: true })).data
}

export async function change(
  name: string,
  how: 'swap' | 'rollback',
  body: Schemas['SwapRequest'],
): Promise<Schemas['SwapResult']> {
  return (await call<Schemas['SwapResult']>(at('components', name, how), { method: 'POST', body, isUnhurried: true }))
    .data
}

/** The files that a new component begins with, as `millrace new` makes them. */
export async function template(language: string, name: string, signal: AbortSignal | null): Promise<Template> {
  return (await call<Template>(at('templates', language), { query: { name }, signal })).data
}

/** A component that the config does not have yet: judged and kept, and nothing else. */
export async function introduce(name: string, file: File): Promise<NewComponent> {
  const headers = { 'Content-Type': 'application/wasm' }
  const ask = { method: 'POST', body: file, headers, isUnhurried: true } as const
  return (await call<NewComponent>(at('components', name, 'new'), ask)).data
}

/** Its file, put where the config can name it. */
export async function place(name: string, body: Schemas['PlaceRequest']): Promise<Schemas['PlaceResult']> {
  return (
    await call<Schemas['PlaceResult']>(at('components', name, 'place'), { method: 'POST', body, isUnhurried: true })
  ).data
}

/** The process behind the page, and those that it asks. */
export async function processes(signal: AbortSignal | null): Promise<Process[]> {
  return (await call<Schemas['Processes']>(at('processes'), { signal })).data.items
}

/** The same jobs on the version that serves and on another one. */
export async function compare(name: string, body: Schemas['CompareRequest']): Promise<Comparison> {
  return (await call<Comparison>(at('components', name, 'compare'), { method: 'POST', body, isUnhurried: true })).data
}

/** The one that runs, or the last; null if there was none since the start of the process. */
export async function canary(name: string, signal: AbortSignal | null): Promise<CanaryState | null> {
  return (await call<Schemas['Canary']>(at('components', name, 'canary'), { signal })).data.canary
}

export async function beginCanary(name: string, body: NewCanary): Promise<void> {
  await call(at('components', name, 'canary'), { method: 'POST', body, isUnhurried: true })
}

export async function stopCanary(name: string, reason: string): Promise<void> {
  await call(at('components', name, 'canary'), { method: 'DELETE', body: { reason } })
}

/** What the model of the config proposes; nothing is changed by it. */
export async function askCopilot(body: Question, signal: AbortSignal): Promise<CopilotAnswer> {
  return (await call<CopilotAnswer>(at('copilot'), { method: 'POST', body, signal, isUnhurried: true })).data
}

/** Writes down that a proposal was applied. */
export async function applied(id: string): Promise<void> {
  await call(at('copilot', 'applied'), { method: 'POST', body: { id } })
}
