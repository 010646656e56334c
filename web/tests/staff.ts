/** Those who work in the store, for tests of the admin. */
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
  await expect(page.locator('.admin-shell')).toBeVisible()
}

/** The ways that the menu offers. */
export async function ways(page: Page): Promise<string[]> {
  return page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts()
}
