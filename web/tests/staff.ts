/** Those who work in the store, for tests of the admin. */
import { createHmac } from 'node:crypto'
import { expect, type Page } from '@playwright/test'
import type { RunningStore } from './running/store'

export type Role = 'support' | 'catalogue' | 'finance' | 'operator' | 'designer' | 'admin'

export interface Member {
  name: string
  email: string
  password: string
}

let members = 0

/** An account with these roles, given as the first ones are: by who has the machine. */
export async function newMember(store: RunningStore, ...roles: Role[]): Promise<Member> {
  members += 1
  const member = {
    name: 'Grace Hopper',
    email: `grace.${process.pid}.${members}@example.com`,
    password: 'a long password of staff',
  }
  const answer = await fetch(`${store.url}/api/auth/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(member),
  })
  expect(answer.status).toBe(201)
  if (roles.length > 0) await store.service('users-products').command('users', 'grant', member.email, ...roles)
  return member
}

/** Through the page, which may be asked for by a deep link. */
export async function signIn(page: Page, { email, password }: Member, path = '/') {
  await page.goto(`/admin/#${path}`)
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.locator('.desk-shell')).toBeVisible()
}

/** The ways that the menu offers. */
export async function ways(page: Page): Promise<string[]> {
  return page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts()
}

/** What an authenticator with this key shows at a moment, in milliseconds of the epoch: RFC 6238 with its usual choices. */
export function codeOf(secret: string, at: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)))
  const digest = createHmac('sha1', base32(secret)).update(counter).digest()
  const offset = (digest.at(-1) ?? 0) & 15
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

function base32(text: string): Buffer {
  const bits = [...text.toUpperCase()].map((letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
  )
  const bytes = bits.join('').match(/.{8}/g) ?? []
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)))
}
