/** Whoever signs in is led back to just what they were at. */
import { fireEvent, render, renderHook, screen, waitFor } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ApiError } from '../../shared/api/errors'
import * as desk from '../../shared/desk/session'
import { SignInPage } from './pages/SignInPage'
import { useSignIn, useWayBack } from './signIn'

const asked = vi.hoisted(() => ({ error: undefined as unknown }))
vi.mock('./process', () => ({ useProcess: () => ({ process: undefined, error: asked.error, refresh: () => {} }) }))
vi.mock('./api', () => ({ sessionOf: async () => ({ who: 'user-12345678' }) }))
afterEach(() => {
  asked.error = undefined
  desk.end()
})

function at(address: string): void {
  history.replaceState(null, '', `/#${address}`)
}

describe('the way back', () => {
  it.each([
    '/instances?workflow=order-processing&finished=false',
    '/instances/orders/x?view=times&at=a%20b%26c',
    '/waiting',
    '/sign-in-sheets?a=b',
  ])('leads to %s as it was', (address) => {
    at(address)
    const there = renderHook(useSignIn).result.current
    at(there)
    expect(renderHook(useWayBack).result.current).toBe(address)
    // A second press on the link does not lose it.
    expect(renderHook(useSignIn).result.current).toBe(there)
  })

  it.each(['', 'instances', 'https://example.com/', '//example.com', '/sign-in', '/sign-in?back=/audit', '/sign-in/'])(
    'leads to the first page instead of %j',
    (back) => {
      at(`/sign-in?${new URLSearchParams({ back })}`)
      expect(renderHook(useWayBack).result.current).toBe('/instances')
    },
  )

  it('is not needed where the sign-in stands in the place of a page', () => {
    at('/audit?who=ada')
    expect(renderHook(useWayBack).result.current).toBeUndefined()
  })
})

it('signing in opens just what was asked for', async () => {
  const back = '/instances?workflow=order-processing&finished=false'
  at(`/sign-in?${new URLSearchParams({ back })}`)
  render(<SignInPage />)
  fireEvent.change(screen.getByLabelText(/^Token/), { target: { value: 'a.token' } })
  fireEvent.click(screen.getByText('Use this token'))
  await waitFor(() => expect(location.hash).toBe(`#${back}`))
})

describe('who goes on without', () => {
  const without = () => screen.getByRole('link', { name: 'Go on without' }).getAttribute('href')
  const back = '/instances?workflow=order-processing'

  it('is back where they were', () => {
    at(`/sign-in?${new URLSearchParams({ back })}`)
    render(<SignInPage />)
    expect(without()).toBe(`#${back}`)
  })

  it('does not meet the same question again at a process that tells nobody anything', () => {
    asked.error = new ApiError('unauthorized', 'who are you?')
    at(`/sign-in?${new URLSearchParams({ back })}`)
    render(<SignInPage />)
    expect(without()).toBe('#/')
  })
})
