import { fireEvent, render, screen, waitFor } from '@testing-library/react'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import * as session from '../../shared/session'
import { answer, onFetch } from '../../shared/testing/fetch'
import ForgottenPage from './ForgottenPage'
import LoginPage from './LoginPage'
import ProfilePage from './ProfilePage'
import ResetPage from './ResetPage'

const ADA = { id: 'u1', name: 'Ada', email: 'ada@example.com', createdAt: '2026-11-23T16:28:23Z' }

beforeEach(() => {
  localStorage.clear()
  session.end()
})

afterEach(() => {
  vi.restoreAllMocks()
})

function problem(status: number, rest: object) {
  return answer(status, { type: 'about:blank', title: 'No', status, detail: 'no', error: 'no', ...rest })
}

function type(label: string, text: string) {
  fireEvent.change(screen.getByLabelText(label), { target: { value: text } })
}

async function sent(spy: ReturnType<typeof onFetch>, nth: number): Promise<unknown> {
  const [request] = spy.mock.calls[nth] ?? []
  return (request as Request).clone().json()
}

it('who has forgotten the password asks for a link and is told the same whoever they are', async () => {
  const spy = onFetch(new Response(null, { status: 202 }))
  render(<ForgottenPage />)
  type('Email', ' ada@example.com ')
  fireEvent.click(screen.getByRole('button', { name: 'Send the Link' }))
  expect(await screen.findByRole('heading', { name: 'Look into your mail' })).toBeTruthy()
  expect(await sent(spy, 0)).toEqual({ email: 'ada@example.com' })
})

it('the link sets another password and leads to the login', async () => {
  session.begin({ token: 't', user: ADA })
  const spy = onFetch(new Response(null, { status: 204 }))
  render(<ResetPage token="abc" />)
  type('New password', 'password456')
  fireEvent.click(screen.getByRole('button', { name: 'Set the Password' }))
  await waitFor(() => expect(location.hash).toBe('#/login'))
  expect(await sent(spy, 0)).toEqual({ token: 'abc', newPassword: 'password456' })
  expect(session.token.get()).toBeNull()
})

it('a link that was used says so beside the button', async () => {
  onFetch(
    problem(403, { errors: [{ pointer: '/token', detail: 'is not valid, or not any more: ask for another link' }] }),
  )
  render(<ResetPage token="used" />)
  type('New password', 'password456')
  fireEvent.click(screen.getByRole('button', { name: 'Set the Password' }))
  expect((await screen.findByRole('alert')).textContent).toContain('ask for another link')
})

it('a login that needs a code asks for it and sends it with the rest', async () => {
  const spy = onFetch(
    problem(401, { code: 'second-factor-required', detail: 'send the code' }),
    answer(200, { token: 'new', user: ADA }),
  )
  render(<LoginPage />)
  expect(screen.getByRole('link', { name: 'Forgotten your password?' }).getAttribute('href')).toBe('#/forgotten')
  type('Email', 'ada@example.com')
  type('Password', 'password123')
  fireEvent.click(screen.getByRole('button', { name: 'Sign In' }))
  await screen.findByLabelText('Code')
  type('Code', '123456')
  fireEvent.click(screen.getByRole('button', { name: 'Sign In' }))
  await waitFor(() => expect(session.token.get()).toBe('new'))
  expect(await sent(spy, 1)).toEqual({ email: 'ada@example.com', password: 'password123', code: '123456' })
})

it('the profile changes the password, and this browser stays logged in', async () => {
  session.begin({ token: 'old', user: ADA })
  const spy = onFetch(
    answer(200, ADA),
    problem(403, { errors: [{ pointer: '/currentPassword', detail: 'is not the password of this account' }] }),
    answer(200, { token: 'new', user: ADA }),
  )
  render(<ProfilePage />)
  fireEvent.click(await screen.findByRole('button', { name: 'Change Password' }))
  type('Old password', 'password124')
  type('New password', 'password456')
  fireEvent.click(screen.getByRole('button', { name: 'Set Password' }))
  expect(await screen.findByText('Is not the password of this account')).toBeTruthy()
  type('Old password', 'password123')
  fireEvent.click(screen.getByRole('button', { name: 'Set Password' }))
  await waitFor(() => expect(session.token.get()).toBe('new'))
  expect(await sent(spy, 2)).toEqual({ currentPassword: 'password123', newPassword: 'password456' })
  expect(screen.queryByLabelText('Old password')).toBeNull()
})
