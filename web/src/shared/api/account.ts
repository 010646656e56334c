/** The account of whoever is logged in, and how a session begins. Every failure is an ApiError. */
import { anonymous, answered, done, http } from './http'
import type { components } from './schema'

type Schemas = components['schemas']

export async function register(body: Schemas['Registration']) {
  return (await answered(anonymous.POST('/api/auth/register', { body }))).data
}

export async function login(body: Schemas['Credentials']) {
  return (await answered(anonymous.POST('/api/auth/login', { body }))).data
}

export async function profile(signal: AbortSignal) {
  return (await answered(http.GET('/api/auth/profile', { signal }))).data
}

export async function changeProfile(body: Schemas['ProfileChange']) {
  return (await answered(http.PUT('/api/auth/profile', { body }))).data
}

/** All tokens end but the one that is answered. */
export async function changePassword(body: Schemas['PasswordChange']) {
  return (await answered(http.PUT('/api/auth/password', { body }))).data
}

/** Nobody learns whether there is such an account. */
export async function sendReset(body: Schemas['Forgotten']) {
  await done(anonymous.POST('/api/auth/password/forgotten', { body }))
}

/** All tokens end. */
export async function resetPassword(body: Schemas['PasswordReset']) {
  await done(anonymous.POST('/api/auth/password/reset', { body }))
}
