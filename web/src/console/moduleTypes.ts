/** The types of modules: what people call them, what they are for, and what a new one says. */
import type { Value } from './style.ts'

/** What a module is for, by which it is grouped and coloured. */
export type Role = 'edge' | 'accounts' | 'resources' | 'process' | 'events' | 'operation' | 'other'

/** What a new module is made from: names of modules that are there, by their type. */
export interface Around {
  name: string
  /** The first module of one of these types. */
  first: (...types: string[]) => string | undefined
  /** What the first handler of events hears. */
  heard: string | undefined
}

export interface ModuleType {
  type: string
  label: string
  role: Role
  /** What it depends on, where there is such a module. */
  after: readonly string[]
  /** What its settings have to say, with values that work or show what is meant. */
  settings: (around: Around) => { [key: string]: Value }
}

const none = () => ({})
/** What the host reads from its environment. */
const variable = (name: string) => `$\{${name}}`

export const MODULE_TYPES: readonly ModuleType[] = [
  { type: 'http.server', label: 'HTTP Server', role: 'edge', after: [], settings: () => ({ address: '0.0.0.0:8080' }) },
  { type: 'http.router', label: 'HTTP Router', role: 'edge', after: ['http.server'], settings: none },
  {
    type: 'http.middleware.cors',
    label: 'CORS Middleware',
    role: 'edge',
    after: ['http.router'],
    settings: () => ({ allowedOrigins: ['*'] }),
  },
  {
    type: 'http.middleware.requestid',
    label: 'Request ID Middleware',
    role: 'edge',
    after: ['http.router'],
    settings: none,
  },
  {
    type: 'http.middleware.ratelimit',
    label: 'Rate Limiter',
    role: 'edge',
    after: ['http.router'],
    settings: () => ({ requestsPerMinute: 300, burstSize: 50 }),
  },
  {
    type: 'http.middleware.auth',
    label: 'Auth Middleware',
    role: 'accounts',
    after: ['auth.jwt'],
    settings: () => ({ authType: 'Bearer' }),
  },
  {
    type: 'auth.jwt',
    label: 'Accounts (JWT)',
    role: 'accounts',
    after: ['persistence.store'],
    settings: () => ({ secret: variable('JWT_SECRET') }),
  },
  {
    type: 'api.handler',
    label: 'API Handler',
    role: 'resources',
    after: ['persistence.store'],
    settings: ({ name }) => ({ resourceName: name.replace(/-api$/, '') }),
  },
  {
    type: 'http.simple_proxy',
    label: 'Reverse Proxy',
    role: 'edge',
    after: ['http.server'],
    settings: () => ({ targets: { '/api': 'http://localhost:8081' } }),
  },
  {
    type: 'static.fileserver',
    label: 'Static Files',
    role: 'edge',
    after: ['http.server'],
    settings: () => ({ root: './public', prefix: '/' }),
  },
  {
    type: 'statemachine.engine',
    label: 'State Machine',
    role: 'process',
    after: ['persistence.store'],
    settings: none,
  },
  {
    type: 'dynamic.component',
    label: 'Dynamic Component',
    role: 'process',
    after: ['statemachine.engine'],
    settings: ({ name }) => ({ source: `./components/${name}.wasm` }),
  },
  {
    type: 'processing.step',
    label: 'Processing Step',
    role: 'process',
    after: ['dynamic.component', 'statemachine.engine'],
    settings: ({ name, first }) => ({
      componentId: first('dynamic.component') ?? '',
      successTransition: `${stem(name)}_passed`,
      compensateTransition: `${stem(name)}_failed`,
    }),
  },
  {
    type: 'database.workflow',
    label: 'Workflow Database',
    role: 'resources',
    after: [],
    settings: ({ name }) => ({ driver: 'sqlite', dsn: `./data/${name}.db` }),
  },
  {
    type: 'persistence.store',
    label: 'Persistence Store',
    role: 'resources',
    after: ['database.workflow'],
    settings: ({ first }) => ({ database: first('database.workflow') ?? '' }),
  },
  { type: 'messaging.broker', label: 'Message Broker', role: 'events', after: ['statemachine.engine'], settings: none },
  {
    type: 'messaging.kafka',
    label: 'Kafka Broker',
    role: 'events',
    after: ['statemachine.engine'],
    settings: ({ name }) => ({ brokers: ['localhost:9092'], groupId: name }),
  },
  {
    type: 'messaging.handler',
    label: 'Message Handler',
    role: 'events',
    after: ['messaging.broker', 'messaging.kafka'],
    settings: ({ name, heard }) => ({ topic: heard ?? `${name.replace(/-handler$/, '')}.*` }),
  },
  { type: 'metrics.collector', label: 'Metrics Collector', role: 'operation', after: [], settings: none },
  { type: 'health.checker', label: 'Health Checker', role: 'operation', after: [], settings: none },
  {
    type: 'operator.api',
    label: 'Operator API',
    role: 'operation',
    after: [],
    settings: () => ({ server: 'operator-server' }),
  },
]

const byType = new Map(MODULE_TYPES.map((one) => [one.type, one]))

/** A type of this host; `undefined` of one that it does not know. */
export function moduleType(type: string): ModuleType | undefined {
  return byType.get(type)
}

/** What a step or component is about, as a word that transitions can begin with: `fraud` of `fraud-checker` and of `step-fraud`. */
export function stem(name: string): string {
  const word = name.replace(/^step-/, '').replace(/-(checker|processor|service|sender|handler|component|step)$/, '')
  return word.replaceAll(/[^A-Za-z0-9]+/g, '_').replaceAll(/^_+|_+$/g, '') || 'step'
}
