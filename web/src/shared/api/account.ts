/** The account of whoever is logged in, and how a session begins. Every failure is an ApiError. */
import { call } from './call'
import type { components } from './schema'

type Schemas = components['schemas']

export async function register(body: Schemas['Registration']) {
  return (await call('post', '/api/auth/register', { body, anonymous: true })).data
}

export async function login(body: Schemas['Credentials']) {
  return (await call('post', '/api/auth/login', { body, anonymous: true })).data
}

export async function profile(signal: AbortSignal) {
  return (await call('get', '/api/auth/profile', { signal })).data
}

export async function changeProfile(body: Schemas['ProfileChange']) {
  return (await call('put', '/api/auth/profile', { body })).data
}
