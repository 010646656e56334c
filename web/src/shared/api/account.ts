/** The account of whoever is logged in, and how a session begins. Every failure is an ApiError. */
import { anonymous, answered, http } from './http'
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
