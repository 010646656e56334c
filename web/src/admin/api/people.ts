/** Accounts and their roles, and what was done by whom. */

import { ApiError } from '../../shared/api/errors'
import type { components } from '../../shared/api/schema'
import { call, page } from '../../shared/desk/api/call'
import type { Role } from '../../shared/desk/session'
import type { AuditFilters } from '../../shared/desk/ui/AuditSearch'

type Schemas = components['schemas']

export type Account = Schemas['Account']

/** `staff`: only those who have a role. */
export function accounts(
  { search, staff }: { search: string; staff?: boolean },
  cursor: string | undefined,
  signal: AbortSignal | null,
) {
  return page<Account>('/api/admin/users', { search, staff: staff ? 'true' : '', cursor, limit: 50 }, signal)
}

/** Whose account this is, where there is such an account and the shop tells it. */
export async function contactOf(id: string, signal: AbortSignal): Promise<Schemas['Contact'] | null> {
  try {
    return (await call<Schemas['Contact']>(`/api/admin/users/${encodeURIComponent(id)}`, { signal })).data
  } catch (error) {
    if (error instanceof ApiError && error.failure === 'missing') return null
    throw error
  }
}

export async function setRoles(id: string, roles: readonly Role[], reason: string) {
  await call(`/api/admin/users/${encodeURIComponent(id)}/roles`, {
    method: 'PUT',
    body: { roles: [...roles], reason } satisfies Schemas['RolesChange'],
  })
}

export async function setDisabled(id: string, isDisabled: boolean, reason: string) {
  const what = isDisabled ? 'disable' : 'enable'
  await call(`/api/admin/users/${encodeURIComponent(id)}/${what}`, {
    method: 'POST',
    body: { reason } satisfies Schemas['Reason'],
  })
}

export type AuditEntry = Schemas['AuditRow']

/** Each process with a database of its own has a log of its own. */
export const LOGS = { accounts: '/api/admin/audit', orders: '/api/admin/audit/orders' } as const
export type Log = keyof typeof LOGS

export async function audit(log: Log, filters: AuditFilters, cursor: string | undefined, signal: AbortSignal | null) {
  const { actor, action, subject } = filters
  const query = { actor: await actorOf(actor, signal), action, subject, cursor, limit: 100 }
  return page<AuditEntry>(LOGS[log], query, signal)
}

/** The log names accounts by their ids; people are known by their e-mail. */
async function actorOf(typed: string, signal: AbortSignal | null): Promise<string> {
  if (!typed.includes('@')) return typed
  const { items } = await accounts({ search: typed }, undefined, signal)
  return items.find(({ email }) => email.toLowerCase() === typed.toLowerCase())?.id ?? typed
}

/** Whether the orders have a log of their own here. */
export async function hasLogOfOrders(signal: AbortSignal): Promise<boolean> {
  try {
    await page(LOGS.orders, { limit: 1 }, signal)
    return true
  } catch (error) {
    if (error instanceof ApiError && error.failure === 'missing') return false
    throw error
  }
}
