/**
 * Who works here, in this tab alone: the token is held in memory and in session storage, which ends with the tab and which no other tab
 * reads. What the token says of its bearer (roles, when it ends) decides what is shown; what is allowed is decided by the host.
 */
import { useSyncExternalStore } from 'react'
import { forgetAddresses } from '../router'
import { wantedPage } from '../wanted'

export const ROLES = ['support', 'catalogue', 'finance', 'operator', 'designer', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** What a role is for, in the words of the pages. */
export const ROLE_WORDS: Readonly<Record<Role, string>> = {
  support: 'looks after orders',
  catalogue: 'keeps products and stock',
  finance: 'gives money back',
  operator: 'keeps the processes running',
  designer: 'changes configs and components',
  admin: 'gives roles to others',
}

export interface Person {
  id: string
  name: string
  email: string
}

export interface Session {
  token: string
  user: Person
}

/** What a token says, as far as the pages need it. */
export interface Claims {
  /** Those that are known here. */
  roles: readonly Role[]
  /** Until when it is good and since when, in milliseconds of the epoch. */
  until: number | undefined
  since: number | undefined
  /** The account is staff and has no second factor yet: it can do nothing but set one up. */
  mustEnrol: boolean
}

export const { remember, wanted, forgetWanted } = wantedPage('desk-wanted')

const KEPT = 'desk-session'

let current: Session | null = load()
let isExpired = false
/** Whose the addresses are that links lead back to: those of whoever was signed in last. */
let last = current?.user.id
const listeners = new Set<() => void>()

function change(next: Session | null) {
  current = next
  try {
    if (next) sessionStorage.setItem(KEPT, JSON.stringify(next))
    else sessionStorage.removeItem(KEPT)
  } catch {
    // Then a reload asks for the password again.
  }
  for (const listener of listeners) listener()
}

export function get(): Session | null {
  return current
}

export function begin(session: Session) {
  isExpired = false
  if (session.user.id !== last) forgetAddresses()
  last = session.user.id
  change(session)
}

/** The same person with another token. One that comes after the session has ended is of no use. */
export function renewed(token: string) {
  if (current) change({ ...current, token })
}

export function end() {
  isExpired = false
  change(null)
}

/** The token is taken no longer. */
export function expire() {
  isExpired = true
  change(null)
}

/** Whether that is why nobody is signed in. */
export function hasExpired(): boolean {
  return isExpired
}

export function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function useSession(): Session | null {
  return useSyncExternalStore(subscribe, get)
}

const NOTHING: Claims = { roles: [], until: undefined, since: undefined, mustEnrol: false }

/** Nothing is believed because of this: a token that was tampered with shows pages whose calls are refused. */
export function claims(token: string): Claims {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0))
    const said: Record<string, unknown> = JSON.parse(new TextDecoder().decode(bytes))
    const given: readonly unknown[] = Array.isArray(said.roles) ? said.roles : []
    return {
      roles: ROLES.filter((role) => given.includes(role)),
      until: milliseconds(said.exp),
      since: milliseconds(said.iat),
      mustEnrol: said.only === 'enrolment',
    }
  } catch {
    return NOTHING
  }
}

export function useClaims(): Claims {
  const session = useSession()
  return session ? claims(session.token) : NOTHING
}

export function has(own: readonly Role[], ...wanted: readonly Role[]): boolean {
  return wanted.some((role) => own.includes(role))
}

function milliseconds(seconds: unknown): number | undefined {
  return typeof seconds === 'number' ? seconds * 1000 : undefined
}

function load(): Session | null {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null')
    return isSession(kept) ? kept : null
  } catch {
    return null
  }
}

function isSession(value: unknown): value is Session {
  const { token, user } = (value ?? {}) as Partial<Session>
  // Nothing else can be sent in a header.
  return (
    /^[\x21-\x7e]+$/.test(token ?? '') && [user?.id, user?.name, user?.email].every((each) => typeof each === 'string')
  )
}
