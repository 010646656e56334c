/** The account of whoever works here. */
import type { Person, Session } from '../session'
import { call } from './call'

export interface Credentials {
  email: string
  password: string
  /** Of the second factor, or one of the recovery codes. */
  code?: string
}

export async function login(body: Credentials): Promise<Session> {
  return (await call<Session>('/api/auth/login', { method: 'POST', body, isAnonymous: true })).data
}

/** Another token for the same session. */
export async function renew(): Promise<string> {
  return (await call<{ token: string }>('/api/auth/renew', { method: 'POST' })).data.token
}

/** A token that says that the password was given just now. */
export async function sudo(body: { password: string; code?: string }): Promise<string> {
  return (await call<{ token: string }>('/api/auth/sudo', { method: 'POST', body, keepsSession: true })).data.token
}

export async function changePassword(body: { currentPassword: string; newPassword: string }) {
  return (await call<Partial<Session> | undefined>('/api/auth/password', { method: 'PUT', body, keepsSession: true }))
    .data
}

/** What an authenticator needs, before it is confirmed. */
export interface Enrolment {
  secret: string
  /** `otpauth://...` */
  uri: string
}

export async function enrol(): Promise<Enrolment> {
  return (await call<Enrolment>('/api/auth/totp', { method: 'POST' })).data
}

export interface Enrolled {
  recoveryCodes?: string[]
  /** Where the old one could do nothing but set the second factor up. */
  token?: string
}

export async function confirmFactor(code: string): Promise<Enrolled> {
  const ask = { method: 'POST', body: { code }, keepsSession: true } as const
  return (await call<Enrolled | undefined>('/api/auth/totp/confirm', ask)).data ?? {}
}

/** All tokens end but the one that is answered. */
export async function removeFactor(): Promise<string> {
  return (await call<{ token: string }>('/api/auth/totp', { method: 'DELETE' })).data.token
}

export async function profile(signal: AbortSignal): Promise<Person & { secondFactor?: boolean }> {
  return (await call<Person & { secondFactor?: boolean }>('/api/auth/profile', { signal })).data
}
