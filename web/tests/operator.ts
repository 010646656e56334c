/** The console before a real process, for tests of its pages. */
import { expect, type Page } from '@playwright/test'
import type { RunningStore } from './running/store'
import { type Member, newMember, type Role } from './staff'

/** Where the console of a store is. */
export function consoleOf(store: RunningStore, path = '/'): string {
  return `${store.service('orders').operatorUrl}/console/#${path}`
}

/** Somebody with these roles, signed in at the console by its page. */
export async function enter(page: Page, store: RunningStore, ...roles: Role[]): Promise<Member> {
  const member = await newMember(store, ...roles)
  await page.goto(consoleOf(store, '/sign-in'))
  await page.getByLabel('Email').fill(member.email)
  await page.getByLabel('Password', { exact: true }).fill(member.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Instances', level: 1 })).toBeVisible()
  return member
}
