/** The config of the process: what it says, what another text would change, and another text in its place. */
import { ApiError } from '../../shared/api/errors'
import { call } from '../../shared/desk/api/call'
import type { components } from '../api/schema'
import { PREFIX } from './api'

type Schemas = components['schemas']
export type Config = Schemas['Config']
export type Plan = Schemas['ConfigPlan']
export type Changed = Schemas['Changed']
export type Stranded = Schemas['Stranded']
export type History = Schemas['ConfigHistory']
export type Saved = Schemas['SavedConfig']
export type SaveResult = Schemas['SaveConfigResult']

const PATH = `${PREFIX}/config`

export async function read(signal: AbortSignal | null = null): Promise<Config> {
  const { data } = await call<Config | undefined>(PATH, { signal })
  // Pages may have come from a server of files, which answers everything with a page.
  if (typeof data?.digest !== 'string') throw new ApiError('missing', 'Nothing here is an operator.api.')
  return data
}

export async function plan(text: string, signal: AbortSignal | null = null): Promise<Plan> {
  return (await call<Plan>(`${PATH}/plan`, { method: 'POST', body: { text }, signal, isUnhurried: true })).data
}

/** `digest`: of the file that the text was made from. */
export async function save(text: string, reason: string, digest: string): Promise<SaveResult> {
  return change({ method: 'PUT', path: PATH, body: { text, reason }, digest })
}

/** `to`: the digest of a text of the history. `digest`: of the file that it was compared with. */
export async function rollBack(to: string, reason: string, digest: string): Promise<SaveResult> {
  return change({ method: 'POST', path: `${PATH}/rollback`, body: { digest: to, reason }, digest })
}

interface Change {
  method: 'PUT' | 'POST'
  path: string
  body: object
  digest: string
}

async function change({ method, path, body, digest }: Change): Promise<SaveResult> {
  const headers = { 'If-Match': `"${digest}"` }
  const { data } = await call<SaveResult>(path, { method, body, headers, isUnhurried: true })
  tellOthers(data.digest)
  return data
}

export async function history(signal: AbortSignal | null = null): Promise<History> {
  return (await call<History>(`${PATH}/history`, { signal })).data
}

export async function earlier(digest: string, signal: AbortSignal | null = null): Promise<Schemas['SavedConfigText']> {
  return (await call<Schemas['SavedConfigText']>(`${PATH}/history/${encodeURIComponent(digest)}`, { signal })).data
}

/** What somebody else has made the config meanwhile. */
export interface Theirs {
  text: string
  digest: string
  /** Who it was; `file` of somebody who has written the file by hand. */
  who: string | null
  reason: string | null
}

/** What going back to it would change: of the text as it was, whose secrets no page is told. */
export async function planEarlier(digest: string, signal: AbortSignal | null = null): Promise<Plan> {
  const path = `${PATH}/history/${encodeURIComponent(digest)}/plan`
  return (await call<Plan>(path, { signal, isUnhurried: true })).data
}

/** What a refused save tells of the config that is in its way; `null` if it was refused for something else. */
export function theirsOf(error: unknown): Theirs | null {
  if (!(error instanceof ApiError) || error.problem.code !== 'config_changed') return null
  const { text, digest, who, reason } = error.problem
  if (typeof text !== 'string' || typeof digest !== 'string') return null
  return { text, digest, who: word(who), reason: word(reason) }
}

function word(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** Other tabs of this browser hear of each save. */
const CHANNEL = 'operator-config'

function tellOthers(digest: string): void {
  const others = new BroadcastChannel(CHANNEL)
  others.postMessage(digest)
  others.close()
}

/** Calls `hear` with the digest of each config that another tab saves. Returns what ends that. */
export function hearOthers(hear: (digest: string) => void): () => void {
  const others = new BroadcastChannel(CHANNEL)
  others.addEventListener('message', ({ data }: MessageEvent<string>) => hear(data))
  return () => others.close()
}
