/** The audit log of a process: its config says by which route it is read. */
import type { components } from '../../shared/api/schema'
import { call, page } from '../../shared/desk/api/call'
import type { AuditFilters } from '../../shared/desk/ui/AuditSearch'
import { PREFIX } from './api'

export type Entry = components['schemas']['AuditRow']

interface Plan {
  routes: readonly { method: string; path: string; operation: string }[]
}

/** Path of the log; null where there is none. */
export async function place(signal: AbortSignal): Promise<string | null> {
  const { data } = await call<Plan>(`${PREFIX}/plan`, { signal })
  return data.routes.find(({ method, operation }) => method === 'GET' && operation === 'audit')?.path ?? null
}

export function entries(path: string, filters: AuditFilters, cursor: string | undefined, signal: AbortSignal | null) {
  return page<Entry>(path, { ...filters, cursor, limit: 100 }, signal)
}
