/** What a part of a config means, in plain words: from the text, by rules. */
import type { Selection } from '../editor/documents.ts'
import type { Problem } from '../editor/judge.ts'
import { type Model, usesOf } from '../lens.ts'
import { hooksOf, type Machine, type Maker, type State, type StepOutcome, type Transition } from '../machines.ts'
import type { Module } from '../modules.ts'
import { at, list, part } from '../references.ts'

export interface Explanation {
  /** What it is about. */
  title: string
  sentences: readonly string[]
}

/** What is selected, or the config as a whole. */
export function explain(model: Model, { modules, edge, path }: Selection): Explanation {
  const module = model.modules.find(({ name }) => name === modules[0])
  if (module) return { title: module.name, sentences: ofModule(model, module) }
  const line = model.edges.find(({ id }) => id === edge)
  if (line) {
    const labels = line.labels.length > 0 ? [`It stands for: ${line.labels.join('; ')}.`] : []
    return {
      title: `From ${line.from} to ${line.to}`,
      sentences: [`It is a line of the kind ${line.kind}.`, ...labels],
    }
  }
  if (path) {
    const machine = model.machines.find((one) => one.path.every((step, index) => step === path[index]))
    if (machine) return ofMachinePart(model, machine, path.slice(machine.path.length))
    const route = model.routes.find((one) => one.at.every((step, index) => step === path[index]))
    if (route) return { title: `${route.method} ${route.path}`, sentences: ofRoute(model, route) }
  }
  return { title: 'This config', sentences: ofConfig(model) }
}

const named = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

function ofConfig(model: Model): string[] {
  const { modules, routes, machines } = model
  if (modules.length === 0) return ['It is empty. Say below what it should have, or import a config.']
  const kinds = modules.filter(({ type }) => type === 'api.handler').map(({ config }) => String(config.resourceName))
  const components = modules.filter(({ type }) => type === 'dynamic.component')
  return [
    `It has ${counted(modules.length, 'module')}, ${counted(routes.length, 'route')} and ${counted(machines.length, 'machine')}.`,
    ...(kinds.length > 0 ? [`It keeps ${named(kinds)}.`] : []),
    ...machines.map((machine) => `${machine.name}: ${wayOf(machine).join(' → ')}.`),
    ...(components.length > 0 ? [`In the sandbox run ${named(components.map(({ name }) => name))}.`] : []),
    'Select a module, a state or a transition to read about it.',
  ]
}

/** The way through a machine where nothing fails. */
function wayOf({ initial, states, transitions }: Machine): string[] {
  const way = [initial]
  for (let here = initial; ; ) {
    const on = transitions.filter(({ from, to }) => from === here && !way.includes(to))
    const good = (one: Transition) =>
      one.makers.some((maker) => maker.by === 'automatic' || (maker.by === 'step' && maker.outcome === 'success'))
    const isFailure = ({ to }: Transition) => states.some(({ name, isError }) => name === to && isError)
    const next = on.find(good) ?? on.find((one) => !isFailure(one))
    if (!next) return way
    way.push(next.to)
    here = next.to
  }
}

const PURPOSES: Readonly<Record<string, string>> = {
  'http.server': 'It listens for requests at an address.',
  'http.router': 'It leads each request to what answers it.',
  'http.middleware.cors': 'It says which other sites may call these routes from a browser.',
  'http.middleware.requestid': 'It gives each request an id, which is in the answer and in the log.',
  'http.middleware.ratelimit': 'It answers 429 to a client that asks too often.',
  'http.middleware.auth': 'It lets only requests with a valid token pass; others are answered 401.',
  'auth.jwt': 'It keeps the accounts, and gives tokens to who logs in.',
  'api.handler': 'It answers requests about one kind of thing: made, listed, read, changed.',
  'statemachine.engine': 'It runs the machines: each change of a state is one commit in the database.',
  'database.workflow': 'It is the database.',
  'persistence.store': 'It keeps everything in the database: resources, history, events, timers.',
  'dynamic.component':
    'It is a WebAssembly component. It computes in a sandbox, and reaches nothing that it is not granted.',
  'processing.step': 'It asks a component, and makes a transition of the answer.',
  'messaging.broker': 'It is the event bus inside of this process.',
  'messaging.kafka': 'It is the event bus, by Kafka.',
  'messaging.handler': 'It tells of states as events, and hears events.',
  'metrics.collector': 'It gives figures to Prometheus at /metrics.',
  'health.checker': 'It answers whether the process is well.',
  'operator.api': 'It is for those who run the process: this page, its instances, its components.',
  'static.fileserver': 'It serves the files of a folder.',
  'http.simple_proxy': 'It passes requests on to other processes.',
}

function ofModule(model: Model, module: Module): string[] {
  const uses = [
    ...new Set(
      usesOf(model, module.name).flatMap(({ path }) =>
        path[0] === 'modules' ? (model.modules[Number(path[1])]?.name ?? []) : [],
      ),
    ),
  ]
  return [
    PURPOSES[module.type] ?? `This host has no modules of the type ${module.type}: it is kept as it is.`,
    ...(OF_TYPE[module.type]?.(model, module) ?? []),
    ...(module.dependsOn.length > 0 ? [`It starts after ${named(module.dependsOn)}.`] : []),
    ...(uses.length > 0
      ? [`Without it these would not work: ${named(uses.slice(0, 8))}${uses.length > 8 ? ' and more' : ''}.`]
      : []),
  ]
}

type Told = (model: Model, module: Module) => string[]

const OF_TYPE: Readonly<Record<string, Told>> = {
  'http.server': (_, { config }) => [`The address is ${config.address}.`],
  'http.middleware.ratelimit': (_, { config }) => [
    `One client has ${config.requestsPerMinute ?? 60} requests a minute, and ${config.burstSize ?? 'as many'} at once.`,
  ],
  'http.middleware.cors': (_, { config }) =>
    list(config.allowedOrigins).includes('*')
      ? ['Any site may: `*` is all of them.']
      : [`These may: ${list(config.allowedOrigins).join(', ')}.`],
  'api.handler': ofHandler,
  'dynamic.component': (_, { config }) => {
    const grants = list(at(config, 'capabilities', 'http')).map((grant) => String(at(grant, 'service')))
    return [
      `Its file is ${config.source}; another version takes over when that changes, while work goes on.`,
      grants.length > 0 ? `It may call ${named(grants)}.` : 'It may call nothing.',
    ]
  },
  'processing.step': ofStep,
  'messaging.handler': (model, { name, config }) => {
    const topics = list(at(model.source.value, 'workflows', 'messaging', 'subscriptions'))
      .filter((one) => at(one, 'handler') === name)
      .map((one) => String(at(one, 'topic')))
    return [
      ...(topics.length > 0 ? [`It hears of ${named(topics)}.`] : ['It hears of no topic.']),
      ...(config.component ? [`For each event it runs ${config.component}.`] : []),
    ]
  },
}

function ofHandler(model: Model, { name, config }: Module): string[] {
  const routes = model.routes.filter(({ handler }) => handler === name)
  const owner = config.owner === 'creator' ? ['Each belongs to who has made it; others do not see it.'] : []
  const actions = Object.keys(part(config.actions))
  return [
    `It keeps ${config.resourceName}, and answers ${counted(routes.length, 'route')}.`,
    ...owner,
    ...(config.workflowType ? [`A new one goes through the machine ${config.workflowType}.`] : []),
    ...(actions.length > 0 ? [`People may ask for ${named(actions)}.`] : []),
  ]
}

/** Seconds that an answer takes at most: all attempts, and the waits between them. */
export function longest({ config }: Pick<Module, 'config'>): number | null {
  const [retries, backoff, timeout] = [
    config.maxRetries ?? 2,
    config.retryBackoffMs ?? 1000,
    config.timeoutSeconds ?? 30,
  ]
  if (![retries, backoff, timeout].every((one) => typeof one === 'number')) return null
  const waits = Array.from({ length: retries as number }, (_, index) => (backoff as number) * 2 ** index)
  return (timeout as number) * ((retries as number) + 1) + waits.reduce((sum, one) => sum + one, 0) / 1000
}

function ofStep(model: Model, module: Module): string[] {
  const { name, config } = module
  const states = model.machines.flatMap((machine) =>
    machine.states.filter(({ awaits }) => awaits === name).map((state) => `${state.name} of ${machine.name}`),
  )
  const leads = (transition: unknown): string => {
    const own = model.machines.flatMap(({ transitions }) => transitions).find((one) => one.name === transition)
    return own ? `${transition}, to ${own.to}` : String(transition)
  }
  const most = longest(module)
  return [
    states.length > 0
      ? `It runs ${config.componentId} when work enters ${named(states)}.`
      : 'No state waits for it: a hook has to start it.',
    `If the answer is yes it makes ${leads(config.successTransition)}.`,
    ...(config.rejectTransition === undefined
      ? [`If the answer is no, or there is none, it makes ${leads(config.compensateTransition)}.`]
      : [
          `If the answer is no it makes ${leads(config.rejectTransition)}.`,
          `If there is none it makes ${leads(config.compensateTransition)}.`,
        ]),
    `What fails for a moment is tried ${config.maxRetries ?? 2} times more, with the same key.`,
    ...(most === null ? [] : [`All of it takes ${Math.ceil(most)} seconds at most.`]),
  ]
}

function ofRoute(model: Model, { method, path, handler, middlewares, at: written }: Model['routes'][number]): string[] {
  const roles = list(at(model.source.value, ...written, 'roles')).map(String)
  const isClosed = middlewares.some((name) =>
    model.modules.some((own) => own.name === name && own.type === 'http.middleware.auth'),
  )
  return [
    `${method} ${path} is answered by ${handler}.`,
    ...(middlewares.length > 0 ? [`Before that it passes ${named(middlewares)}.`] : []),
    roles.length > 0
      ? `It is for people with the role ${named(roles)}.`
      : isClosed
        ? 'It takes a token.'
        : 'Anybody may call it.',
  ]
}

function ofMachinePart(model: Model, machine: Machine, [kind, name]: readonly (string | number)[]): Explanation {
  const state = machine.states.find((one) => kind === 'states' && one.name === name)
  if (state) return { title: state.name, sentences: ofState(model, machine, state) }
  const transition = machine.transitions.find((one) => kind === 'transitions' && one.name === name)
  if (transition) return { title: transition.name, sentences: ofTransition(model, machine, transition) }
  return { title: machine.name, sentences: ofMachine(machine) }
}

function ofMachine(machine: Machine): string[] {
  const { states, transitions, initial } = machine
  const ends = states.filter(({ isFinal }) => isFinal).map(({ name }) => name)
  return [
    `It has ${counted(states.length, 'state')} and ${counted(transitions.length, 'transition')}, and begins in ${initial}.`,
    `Where nothing fails: ${wayOf(machine).join(' → ')}.`,
    ends.length > 0 ? `It ends in ${ends.join(', ')}.` : 'It has no end: no state is final.',
  ]
}

function ofState(model: Model, { name: workflow, initial, transitions }: Machine, state: State): string[] {
  const { name, description, isFinal, isError, awaits } = state
  const into = transitions.filter(({ to }) => to === name)
  const out = transitions.filter(({ from }) => from === name)
  const told = hooksOf(model.source.value)
    .filter((hook) => hook.workflow === workflow && hook.handler !== awaits && into.some((one) => hook.matches(one)))
    .map(({ handler }) => handler)
  return [
    ...(description ? [`${description}.`] : []),
    ...(name === initial ? ['It is where new work begins.'] : []),
    ...(into.length > 0 ? [`Work comes here by ${named(into.map((one) => `${one.name} (from ${one.from})`))}.`] : []),
    ...(into.length === 0 && name !== initial ? ['Nothing leads here.'] : []),
    ...(awaits ? [`It waits for the answer of ${awaits}.`] : []),
    ...(told.length > 0 ? [`Entering it also starts ${named([...new Set(told)])}.`] : []),
    ...(isFinal ? [isError ? 'It is an end, and a failure.' : 'It is an end.'] : out.map(wayOut)),
    ...(!isFinal && out.length === 0
      ? ['Nothing leads out of it, and it is not final: work stays here for ever.']
      : []),
  ]
}

const wayOut = ({ name, to, makers }: Transition): string =>
  `${name} leads to ${to}: ${makers.length > 0 ? named(makers.map(made)) : 'nothing makes it yet'}.`

function ofTransition(model: Model, { name: workflow }: Machine, transition: Transition): string[] {
  const { from, to, makers } = transition
  const started = hooksOf(model.source.value)
    .filter((hook) => hook.workflow === workflow && hook.matches(transition))
    .map(({ handler }) => handler)
  return [
    `It leads from ${from} to ${to}.`,
    makers.length > 0 ? `It is made ${named(makers.map(made))}.` : 'Nothing makes it: choose who does in its form.',
    ...(started.length > 0 ? [`It starts ${named([...new Set(started)])}.`] : []),
  ]
}

const ANSWERS: Readonly<Record<StepOutcome, string>> = {
  success: 'accepts',
  compensate: 'rejects or fails',
  reject: 'rejects',
  failure: 'fails',
}

/** Who makes a transition, in words. */
function made(maker: Maker): string {
  switch (maker.by) {
    case 'automatic':
      return 'at once, by itself'
    case 'timer':
      return `by a timer after ${maker.after}${maker.maxAttempts ? `, ${maker.maxAttempts} times at most` : ''}${maker.exhausted ? `, then ${maker.exhausted} is made` : ''}`
    case 'deadline':
      return `at the latest ${maker.after} after ${maker.since || 'the state was entered'}`
    case 'exhausted':
      return `when ${maker.transition} is used up`
    case 'step':
      return `when ${maker.step} ${ANSWERS[maker.outcome]}`
    case 'event':
      return `by the event ${maker.event || maker.topic}`
    case 'request':
      return `by ${maker.method} ${maker.path}`
    case 'action':
      return `by somebody who asks ${maker.handler} for ${maker.action}`
    default:
      return `when ${maker.handler} makes a new one`
  }
}

/** What a kind of problem means, and what comes of it. */
const MEANINGS: Readonly<Record<string, string>> = {
  syntax: 'The file cannot be read as YAML from there on, so nothing of it is used.',
  'duplicate-key': 'One key is given twice; only one of the values could hold, so neither is taken.',
  'unknown-key':
    'The host knows no setting of this name here. It refuses it, since a slip of a finger would be passed over otherwise.',
  'missing-key': 'Something cannot work without this setting, and there is no value that would be right for everybody.',
  'wrong-type':
    'There is a value of another kind than the setting takes: a word for a number, or one value for a list.',
  'invalid-value': 'The value is of the right kind, but not one that the setting takes.',
  'unknown-name': 'It names something that this config does not have, or something of another kind.',
  'dependency-cycle': 'Modules wait for each other, so none of them could start.',
  'missing-part': 'One part needs another that this config does not have.',
  unused: 'Nothing uses it. It does no harm, and does nothing.',
  component: 'The file of the component is none that this host runs.',
  duplicate: 'Two things have one name, so nobody could say which is meant.',
  machine: 'The states and transitions do not make sense together: work would get stuck, or could go two ways at once.',
  expansion: 'It reads a variable of the environment, which the process does not have.',
  'missing-file': 'It names a file that is not there, as seen from the config.',
  'weak-secret': 'The secret is too short or too well known to be safe.',
}

/** What a problem means. The host's own words come first: they name the thing and the value. */
export function explainProblem({ code, severity }: Pick<Problem, 'code' | 'severity'>): string {
  const meaning = MEANINGS[code] ?? 'The parts do not fit together as they are.'
  const outcome =
    severity === 'error' ? 'The host does not take a config with it.' : 'The host takes the config all the same.'
  return `${meaning} ${outcome}`
}
