/** The account of whoever works here. */
import type { components } from '../../api/schema'
import { call } from './call'

type Schemas = components['schemas']
export type Enrolment = Schemas['Enrolment']
export type Enrolled = Schemas['Enrolled']
type Session = Schemas['Session']

export async function login(body: Schemas['Credentials']): Promise<Session> {
  return (await call<Session>('/api/auth/login', { method: 'POST', body, isAnonymous: true })).data
}

/** Another token for the same session. */
export async function renew(): Promise<string> {
  return (await call<Session>('/api/auth/renew', { method: 'POST' })).data.token
}

/** A token that says that the password was given just now. */
export async function sudo(body: Schemas['Confirmation']): Promise<string> {
  return (await call<Session>('/api/auth/sudo', { method: 'POST', body, keepsSession: true })).data.token
}

/** All tokens end but the one that is answered. */
export async function changePassword(body: Schemas['PasswordChange']): Promise<string> {
  return (await call<Session>('/api/auth/password', { method: 'PUT', body, keepsSession: true })).data.token
}

/** Counts for nothing before it is confirmed. */
export async function enrol(): Promise<Enrolment> {
  return (await call<Enrolment>('/api/auth/totp', { method: 'POST' })).data
}

export async function confirmFactor(code: string): Promise<Enrolled> {
  const body: Schemas['Code'] = { code }
  return (await call<Enrolled>('/api/auth/totp/confirm', { method: 'POST', body, keepsSession: true })).data
}

/** All tokens end but the one that is answered. */
export async function removeFactor(): Promise<string> {
  return (await call<Session>('/api/auth/totp', { method: 'DELETE' })).data.token
}

export async function profile(signal: AbortSignal): Promise<Schemas['User']> {
  return (await call<Schemas['User']>('/api/auth/profile', { signal })).data
}
