/** Who is logged in, and where they wanted to go before they were asked to log in. */
import type { components } from './api/schema'
import { json, type Stored, stored, useStored } from './storage'
import { wantedPage } from './wanted'

export type User = components['schemas']['User']

/** Nothing else can be sent in a header. */
const SENDABLE = /^[\x21-\x7e]+$/

export const token = stored<string | null>('token', {
  read: (raw) => (raw !== null && SENDABLE.test(raw) ? raw : null),
  write: (value) => value,
})
export const user: Stored<User | null> = stored(
  'user',
  json<User | null>(null, (value) => (isUser(value) ? value : undefined)),
)

function isUser(value: unknown): value is User {
  if (typeof value !== 'object' || value === null) return false
  const { id, name, email, createdAt } = value as Record<keyof User, unknown>
  return [id, name, email, createdAt].every((member) => typeof member === 'string')
}

let isExpired = false

export function begin(session: { token: string; user: User }) {
  isExpired = false
  user.set(session.user)
  token.set(session.token)
}

/** The store takes the token no longer. */
export function expire() {
  isExpired = true
  end()
}

/** Whether that is why nobody is logged in. */
export function hasExpired(): boolean {
  return isExpired
}

export function end() {
  token.set(null)
  user.set(null)
}

export function useToken(): string | null {
  return useStored(token)
}

export function useUser(): User | null {
  return useStored(user)
}

export const { remember, wanted, forgetWanted } = wantedPage('wanted')
