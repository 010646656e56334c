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

/** Answers the question for the password. */
export async function confirm(page: Page, { password }: Member): Promise<void> {
  const question = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await question.getByLabel('Password', { exact: true }).fill(password)
  await question.getByRole('button', { name: 'Confirm' }).click()
  await expect(question).toHaveCount(0)
}

/** An order that waits for somebody, since its payment was declined; gives its id. */
export async function declined(store: RunningStore): Promise<string> {
  const { token } = await account(store)
  return order(store, token, 'tok_chargeDeclined', 'payment_failed')
}

/** An order that is being paid, or already more. */
export async function paid(store: RunningStore): Promise<string> {
  const { token } = await account(store)
  return order(store, token, 'tok_visa', 'delivered')
}

let accounts = 0

async function account(store: RunningStore): Promise<{ token: string }> {
  accounts += 1
  const email = `shopper.${process.pid}.${accounts}.${Date.now()}@example.com`
  return send(store, '/api/auth/register', { name: 'Ada Lovelace', email, password: 'password123' })
}

async function order(store: RunningStore, token: string, payment: string, state: string): Promise<string> {
  const { id } = await send<{ id: string }>(
    store,
    '/api/orders',
    {
      items: [{ productId: 'prod-001', name: 'Mechanical Keyboard', price: 149.99, quantity: 1 }],
      total: 149.99,
      shipping: { address: '123 Main St', city: 'Portland', state: 'OR', zip: '97201' },
      payment: { token: payment },
    },
    token,
  )
  await expect(async () => {
    const answer = await fetch(`${store.url}/api/orders/${id}`, { headers: { Authorization: `Bearer ${token}` } })
    expect((await answer.json()).state).toBe(state)
  }).toPass()
  return id
}

async function send<T>(store: RunningStore, path: string, body: object, token?: string): Promise<T> {
  const answer = await fetch(`${store.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  })
  expect(answer.status, await answer.clone().text()).toBeLessThan(300)
  return answer.json() as Promise<T>
}
