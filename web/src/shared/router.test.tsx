import { act, render, screen } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import { match, navigate, usePath, useQuery, withQuery } from './router'

describe('a path', () => {
  it('matches segment by segment', () => {
    expect(match('/orders', '/orders/')).toEqual({})
    expect(match('/orders/:id', '/orders/order-1')).toEqual({ id: 'order-1' })
    expect(match('/orders/:id', '/orders')).toBeUndefined()
    expect(match('/orders', '/orders/order-1')).toBeUndefined()
    expect(match('/product/:id', '/orders/order-1')).toBeUndefined()
  })

  it('is decoded once, and an escape that is none stands for itself', () => {
    expect(match('/product/:id', '/product/a%2Fb%2520c')).toEqual({ id: 'a/b%20c' })
    expect(match('/product/:id', '/product/50%')).toEqual({ id: '50%' })
  })
})

function Path() {
  return <output>{usePath()}</output>
}

it.each([
  ['', '/'],
  ['#', '/'],
  ['#/', '/'],
  ['#/orders/order-1', '/orders/order-1'],
  ['#cart', '/cart'],
  ['#/login?from=mail', '/login'],
])('the path of %j is %s', (hash, path) => {
  history.replaceState(null, '', `/${hash}`)
  render(<Path />)
  expect(screen.getByRole('status').textContent).toBe(path)
})

it('who shows the path hears of a change at once', () => {
  render(<Path />)
  act(() => navigate('/cart'))
  expect(screen.getByRole('status').textContent).toBe('/cart')
  act(() => navigate('/orders', { replace: true }))
  expect(screen.getByRole('status').textContent).toBe('/orders')
})

function Query() {
  return <output>{useQuery().get('state') ?? 'none'}</output>
}

it('what a page is asked for stands in its address', () => {
  history.replaceState(null, '', '/#/orders?state=paid%20late')
  render(<Query />)
  expect(screen.getByRole('status').textContent).toBe('paid late')
  act(() => navigate(withQuery('/orders', { state: 'a&b', search: '' })))
  expect(location.hash).toBe('#/orders?state=a%26b')
  expect(location.search).toBe('')
  expect(screen.getByRole('status').textContent).toBe('a&b')
  act(() => navigate(withQuery('/orders', { state: '' })))
  expect(screen.getByRole('status').textContent).toBe('none')
})
