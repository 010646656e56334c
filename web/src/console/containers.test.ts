import { expect, it } from 'vitest'
import { type Installation, installationOf, type OpenedConfig, shared, type ToldProcess } from './containers.ts'
import { lens } from './lens.ts'
import { repositoryFile } from './testing/corpus.ts'

function opened(name: string, { dirty = false, base = null }: Partial<OpenedConfig> = {}): OpenedConfig {
  return { id: `id of ${name}`, name, model: lens(repositoryFile(`configs/${name}`)), dirty, base }
}

const OWN: ToldProcess = {
  name: 'gateway',
  address: null,
  health: 'healthy',
  problems: {},
  version: '0.1.0',
  digest: 'a'.repeat(64),
  runsFile: true,
  modules: ['web-server', 'router'],
  asked: [],
}

const ORDERS: ToldProcess = {
  ...OWN,
  name: 'orders',
  address: '10.0.0.7:8080',
  health: 'away',
  problems: { process: 'accepts no connection' },
  runsFile: null,
  modules: null,
  asked: [
    { module: 'api-proxy', what: '/api/orders' },
    { module: 'api-proxy', what: '/api/refunds' },
  ],
}

const byName = ({ containers }: Installation, name: string) => containers.find((one) => one.name === name)

it('three configs are three parts of an installation, by whom they pass requests on to, without any process', () => {
  const found = installationOf(
    ['gateway.yaml', 'users-products.yaml', 'orders.yaml'].map((name) => opened(name)),
    [],
  )
  expect(found.containers.map(({ name }) => name)).toEqual(['gateway', 'users-products', 'orders'])
  expect(found.containers.every(({ health }) => health === null)).toBe(true)
  const gateway = byName(found, 'gateway')?.id
  const to = (name: string) =>
    found.traffic.find((one) => one.from === gateway && one.to === byName(found, name)?.id)?.what
  expect(to('orders')).toContain('/api/orders')
  expect(to('users-products')).toContain('/api/products')
  expect(shared(found).get('web-server')).toHaveLength(3)
})

it('a process is shown with the modules that it tells, and another one with what is asked of it', () => {
  const found = installationOf([], [OWN, ORDERS])
  expect(byName(found, 'gateway')?.modules.map(({ name }) => name)).toEqual(['web-server', 'router'])
  expect(byName(found, 'gateway')?.compared).toBe('as its file says')
  expect(byName(found, 'orders')).toMatchObject({ health: 'away', problems: ['accepts no connection'], silent: true })
  expect(found.traffic).toEqual([{ from: 'this process', to: '10.0.0.7:8080', what: ['/api/orders', '/api/refunds'] }])
})

it('an open config is that of the process which is called by its name, and is compared with what runs', () => {
  const compared = (given: Partial<OpenedConfig>, process = OWN) =>
    byName(installationOf([opened('gateway.yaml', given)], [process]), 'gateway')?.compared
  expect(compared({ base: OWN.digest })).toBe('as it is open here')
  expect(compared({ base: 'b'.repeat(64) })).toBe('another text than the one here')
  expect(compared({ dirty: true, base: OWN.digest })).toBe('changed here, and not saved')
  expect(compared({}, { ...OWN, runsFile: false })).toBe('runs an older text than its file')
  const found = installationOf([opened('orders.yaml')], [OWN, ORDERS])
  expect(found.containers).toHaveLength(2)
  expect(byName(found, 'orders')?.modules.some(({ name }) => name === 'orders-api')).toBe(true)
})

it('an address that no open config and no process has is shown all the same', () => {
  const found = installationOf([opened('gateway.yaml')], [])
  expect(byName(found, 'orders')).toMatchObject({ health: null, silent: true, address: 'orders:8080' })
})
