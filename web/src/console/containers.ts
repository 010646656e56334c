/**
 * Which processes there are and which modules stand in each: what a running process tells of itself and of those that it asks, put together with the
 * configs that are open. A config is that of the process which is called by its file's name.
 */
import type { Model } from './lens.ts'
import type { Role } from './moduleTypes.ts'

/** A config that is open. */
export interface OpenedConfig {
  id: string
  /** Its file's name. */
  name: string
  model: Model
  /** It was changed and not saved. */
  dirty: boolean
  /** Digest of the config of the process that it was made from. */
  base: string | null
}

/** A process, as one that runs tells it. */
export interface ToldProcess {
  name: string | null
  /** `null` of the one that tells it. */
  address: string | null
  health: string
  problems: Readonly<Record<string, string>>
  version: string | null
  digest: string | null
  runsFile: boolean | null
  modules: readonly string[] | null
  asked: readonly { module: string; what: string }[]
}

export interface StandingModule {
  name: string
  label: string
  type: string
  role: Role
  fact: string
}

export interface Container {
  id: string
  /** What people call it. */
  name: string
  /** Where it is asked; `null` of the one that tells of itself and of a config that nobody is known to run. */
  address: string | null
  /** `null` of a config that nobody is known to run. */
  health: string | null
  problems: readonly string[]
  version: string | null
  digest: string | null
  /** What the config that is open, or its file, is to what runs; `null` where there is nothing to say. */
  compared: string | null
  modules: readonly StandingModule[]
  /** Why there are none to be shown. */
  silent: boolean
  /** The config that is open. */
  config: string | null
}

/** Requests that one passes on to another. */
export interface Traffic {
  from: string
  to: string
  /** What is asked: paths that requests begin with, or services of components. */
  what: readonly string[]
}

export interface Installation {
  containers: readonly Container[]
  traffic: readonly Traffic[]
}

/** `gateway` of `gateway.yaml`. */
function stemOf(file: string): string {
  return file.replace(/\.ya?ml$/i, '')
}

/** The host and port that an address has, also one that a variable may replace: `orders:8080` of `${ORDERS_URL:-http://orders:8080}`. */
function authorityOf(url: string): string | null {
  return /\/\/(?:[^/@\s]*@)?([^/\s}]+)/.exec(url)?.[1] ?? null
}

const hostOf = (authority: string): string => authority.replace(/:\d+$/, '')

/** All that is known. `told`: what the process behind the page tells, itself first; nothing where none answers. */
export function installationOf(configs: readonly OpenedConfig[], told: readonly ToldProcess[]): Installation {
  const containers = told.map((process) => ofProcess(process, configs))
  const run = new Set(containers.map(({ config }) => config))
  for (const config of configs) {
    if (run.has(config.id) || config.model.modules.length === 0) continue
    containers.push(ofConfig(config))
  }
  const traffic = trafficOf(containers, configs, told)
  for (const { to } of traffic) {
    if (!containers.some(({ id }) => id === to)) containers.push(elsewhere(to))
  }
  return { containers, traffic }
}

/** Called by its name, or by the host that it is asked at. */
const nameOf = ({ name, address }: ToldProcess): string => name ?? (address ? hostOf(address) : 'this process')

const idOf = (process: ToldProcess): string => process.address ?? 'this process'

function ofProcess(process: ToldProcess, configs: readonly OpenedConfig[]): Container {
  const name = nameOf(process)
  const config = configs.find((one) => stemOf(one.name) === name && one.model.modules.length > 0)
  const { address, health, problems, version, digest } = process
  return {
    id: idOf(process),
    name,
    address,
    health,
    problems: Object.entries(problems).map(([part, why]) => (part === 'process' ? why : `${part}: ${why}`)),
    version,
    digest,
    compared: comparedOf(process, config),
    modules: config ? standing(config) : (process.modules ?? []).map(nameless),
    silent: !config && process.modules === null,
    config: config?.id ?? null,
  }
}

function comparedOf({ runsFile, digest }: ToldProcess, config: OpenedConfig | undefined): string | null {
  if (runsFile === false) return 'runs an older text than its file'
  if (config?.dirty) return 'changed here, and not saved'
  if (config?.base && digest) return config.base === digest ? 'as it is open here' : 'another text than the one here'
  return runsFile ? 'as its file says' : null
}

function ofConfig(config: OpenedConfig): Container {
  const id = `config ${config.id}`
  return { ...EMPTY, id, name: stemOf(config.name), modules: standing(config), silent: false, config: config.id }
}

function elsewhere(address: string): Container {
  return { ...EMPTY, id: address, name: hostOf(address), address }
}

const EMPTY: Container = {
  id: '',
  name: '',
  address: null,
  health: null,
  problems: [],
  version: null,
  digest: null,
  compared: null,
  modules: [],
  silent: true,
  config: null,
}

function standing({ model }: OpenedConfig): StandingModule[] {
  return model.modules.map(({ name, label, type, role, fact }) => ({ name, label, type, role, fact }))
}

const nameless = (name: string): StandingModule => ({ name, label: 'Module', type: '', role: 'other', fact: '' })

/** Of processes as they tell it; of a config that nobody is known to run, by its proxies. */
function trafficOf(
  containers: readonly Container[],
  configs: readonly OpenedConfig[],
  told: readonly ToldProcess[],
): Traffic[] {
  const self = told[0] ? idOf(told[0]) : ''
  const asked = told.slice(1).map((process) => ({
    from: self,
    to: idOf(process),
    what: process.asked.map(({ what }) => what),
  }))
  const written = configs.flatMap((config) => {
    const from = containers.find((one) => one.config === config.id)?.id
    if (from === undefined || from === self) return []
    const proxies = config.model.edges.filter(({ kind }) => kind === 'proxy')
    return proxies.flatMap(({ to, labels }) => {
      const authority = authorityOf(to)
      return authority ? [{ from, to: idAt(containers, authority), what: labels }] : []
    })
  })
  return merged([...asked, ...written])
}

/** Which one is asked there: by its address, or by its name where that is the host's. */
function idAt(containers: readonly Container[], authority: string): string {
  const found =
    containers.find(({ address }) => address === authority) ?? containers.find(({ name }) => name === hostOf(authority))
  return found?.id ?? authority
}

function merged(all: readonly Traffic[]): Traffic[] {
  const found = new Map<string, Traffic>()
  for (const { from, to, what } of all) {
    if (from === to) continue
    const key = JSON.stringify([from, to])
    found.set(key, { from, to, what: [...new Set([...(found.get(key)?.what ?? []), ...what])].sort() })
  }
  return [...found.values()]
}

/** Names that stand in more than one, each with where. */
export function shared({ containers }: Installation): ReadonlyMap<string, readonly string[]> {
  const where = new Map<string, string[]>()
  for (const { id, modules } of containers)
    for (const { name } of modules) where.set(name, [...(where.get(name) ?? []), id])
  return new Map([...where].filter(([, ids]) => ids.length > 1))
}
