/** Accounts and their roles, and what was done by whom. */
import type { Role } from '../session'
import { call, page } from './call'

export interface Account {
  id: string
  name: string
  email: string
  roles: Role[]
  createdAt?: string
  disabled?: boolean
  secondFactor?: boolean
}

export function accounts(search: string, cursor: string | undefined, signal: AbortSignal | null) {
  return page<Account>('/api/admin/users', { search, cursor, limit: 50 }, signal)
}

export async function setRoles(id: string, roles: readonly Role[], reason: string) {
  await call(`/api/admin/users/${encodeURIComponent(id)}/roles`, { method: 'PUT', body: { roles, reason } })
}

export async function setDisabled(id: string, isDisabled: boolean, reason: string) {
  const what = isDisabled ? 'disable' : 'enable'
  await call(`/api/admin/users/${encodeURIComponent(id)}/${what}`, { method: 'POST', body: { reason } })
}

export interface AuditEntry {
  seq: number
  at: string
  actor: string
  roles?: string[]
  sudo?: boolean
  action: string
  subject: string
  versionBefore?: number | null
  versionAfter?: number | null
  reason?: string | null
  requestId?: string | null
  address?: string | null
  hash?: string
}

export const AUDIT_FILTERS = ['actor', 'action', 'subject'] as const
export type AuditFilters = Readonly<Record<(typeof AUDIT_FILTERS)[number], string>>

export function audit(filters: AuditFilters, cursor: string | undefined, signal: AbortSignal | null) {
  return page<AuditEntry>('/api/admin/audit', { ...filters, cursor, limit: 100 }, signal)
}
