/** Gestures that take several commands: what somebody asks for in a sentence. */
import { addModule, addRoute, type Change, change, setValue } from '../commands.ts'
import { connect } from '../connect.ts'
import { Refusal } from '../edits.ts'
import { type Model, machineNamed, moduleNamed } from '../lens.ts'
import { addMachine, addState, addTransition, type Drop, dropComponent } from '../machineCommands.ts'
import type { Machine, Transition } from '../machines.ts'
import type { Module } from '../modules.ts'
import { stem } from '../moduleTypes.ts'
import { at, list, text } from '../references.ts'
import type { Path } from '../source.ts'
import type { Value } from '../style.ts'
import { free, type Gesture, inTurn } from './proposal.ts'

const HOOKS = ['workflows', 'statemachine', 'hooks']

export const ofType = (model: Model, type: string): Module[] => model.modules.filter((module) => module.type === type)

const listed = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ')

/** The machine that has a state of this name. */
export function machineOf(model: Model, state: string): Machine {
  const own = model.machines.filter(({ states }) => states.some(({ name }) => name === state))
  const [machine] = own
  if (!machine) {
    const all = model.machines.flatMap(({ states }) => states.map(({ name }) => name))
    throw new Refusal(
      all.length === 0
        ? 'There is no machine, so no state.'
        : `There is no state \`${state}\`. There are ${listed(all.slice(0, 20))}.`,
    )
  }
  if (own.length > 1) throw new Refusal(`Several machines have a state \`${state}\`; select it on the drawing.`)
  return machine
}

interface Between {
  machine: Machine
  transition: Transition
}

function between(model: Model, from: string, to: string): Between {
  for (const machine of model.machines) {
    const transition = machine.transitions.find((one) => one.from === from && one.to === to)
    if (transition) return { machine, transition }
  }
  const machine = machineOf(model, from)
  const targets = machine.transitions.filter((one) => one.from === from).map((one) => one.to)
  throw new Refusal(
    targets.length === 0
      ? `Nothing leaves \`${from}\`.`
      : `No transition leads from \`${from}\` to \`${to}\`. From there it goes to ${listed([...new Set(targets)])}.`,
  )
}

const isAutomatic = ({ makers }: Transition): boolean => makers.some(({ by }) => by === 'automatic')

/** What the new step is. */
export interface NewStep {
  /** `fraud check`: the component of that name is taken, or a new one is named so. */
  name: string
  from: string
  to: string
  /** Where a rejection leads; the state for failures if not given. */
  otherwise?: string | undefined
  /** The component that it runs, where that is known already: its name, with the settings of one that is new. */
  component?: Drop['component']
}

/** Name of the component that such a step runs, and whether it is there already. */
export function componentFor(model: Model, words: string): { name: string; isThere: boolean } {
  const slug = words
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  if (slug === '') throw new Refusal('Say what the step does, such as `fraud check`.')
  const name = slug.replace(/-check$/, '-checker')
  const own = ofType(model, 'dynamic.component').find((one) => one.name === slug || stem(one.name) === stem(name))
  return own ? { name: own.name, isThere: true } : { name, isThere: false }
}

/** Where the file of a new component lies: beside those of the others. */
export function sourceFor(model: Model, name: string): string {
  const [other] = ofType(model, 'dynamic.component')
  const source = text(other?.config.source)
  return source?.includes('/') ? source.replace(/[^/]+$/, `${name}.wasm`) : `./components/${name}.wasm`
}

function componentOf(model: Model, words: string): Drop['component'] {
  const { name, isThere } = componentFor(model, words)
  return isThere ? name : { name, config: { source: sourceFor(model, name) } }
}

/** A state of its own in which a component is asked, on the way from one state to another. */
export function stepBetween(model: Model, { name, from, to, otherwise, component: given }: NewStep): Change {
  const { machine, transition } = between(model, from, to)
  const component = given ?? componentOf(model, name)
  const called = typeof component === 'string' ? component : component.name
  const label = `Add ${name} between ${from} and ${to}`
  const compensate = otherwise ? { compensate: { to: otherwise } } : {}
  if (isAutomatic(transition)) {
    const made = dropComponent(model, { workflow: machine.name, state: from, component, ...compensate })
    return { ...made, label }
  }
  const word = stem(called)
  const waiting = free(
    `checking_${word}`,
    machine.states.map((state) => state.name),
  )
  const passed = free(`${word}_passed`, namesOf(machine))
  return inTurn(model, label, [
    (now) =>
      addState(now, {
        workflow: machine.name,
        name: waiting,
        after: from,
        ...described(machine, `Waiting for ${called}`),
      }),
    (now) => setValue(now, [...pathOf(now, machine.name, transition.name), 'toState'], waiting),
    (now) => handOver(now, machine.name, transition.name, passed),
    (now) =>
      dropComponent(now, {
        workflow: machine.name,
        state: waiting,
        component,
        success: { transition: passed, to },
        ...compensate,
      }),
  ])
}

const namesOf = ({ transitions }: Machine): string[] => transitions.map(({ name }) => name)

/** Where the states of a machine have descriptions, a new one has one as well. */
function described({ states }: Machine, description: string): { description?: string } {
  return states.filter((state) => state.description !== '').length * 2 > states.length ? { description } : {}
}

function pathOf(model: Model, machine: string, transition: string): Path {
  const own = machineNamed(model, machine)?.transitions.find(({ name }) => name === transition)
  if (!own) throw new Refusal(`\`${machine}\` has no transition \`${transition}\`.`)
  return own.path
}

/** What a hook started at one transition it starts at another from now on: what enters the state has changed. */
function handOver(model: Model, workflow: string, from: string, to: string): Change {
  return change(model, `Start at ${to}`, (draft) => {
    for (const [index, hook] of list(at(model.source.value, ...HOOKS)).entries()) {
      if (at(hook, 'workflowType') !== workflow) continue
      const own = list(at(hook, 'transitions')).indexOf(from)
      if (own >= 0) draft.set([...HOOKS, index, 'transitions', own], to)
    }
  })
}

/** A person who says yes or no, on the way from one state to another. */
export function approvalBetween(model: Model, { name, from, to, otherwise }: NewStep): Change {
  const { machine, transition } = between(model, from, to)
  const handler = ofType(model, 'api.handler').find(({ config }) => config.workflowType === machine.name)
  if (!handler) throw new Refusal(`No API Handler has the workflow \`${machine.name}\`, so nobody could approve.`)
  const states = machine.states.map((state) => state.name)
  const [waiting, passed] = [free('in_approval', states), free('approved', states)]
  const [approve, reject] = [free('approve', namesOf(machine)), free('reject', namesOf(machine))]
  const workflow = machine.name
  const refused = otherwise ?? failureOf(machine)
  const state = (own: string, after: string, description: string) => (now: Model) =>
    addState(now, { workflow, name: own, after, ...described(machine, description) })
  const way = (own: string, start: string, end: string) => (now: Model) =>
    addTransition(now, { workflow, name: own, from: start, to: end, maker: { by: 'nobody yet' } })
  const ask: Gesture[] = isAutomatic(transition)
    ? [
        state(passed, waiting, 'Approved'),
        (now) => setValue(now, [...pathOf(now, workflow, transition.name), 'fromState'], passed),
        (now) =>
          addTransition(now, {
            workflow,
            name: free('ask_approval', namesOf(machine)),
            from,
            to: waiting,
            maker: { by: 'automatic' },
          }),
        way(approve, waiting, passed),
      ]
    : [
        (now) => setValue(now, [...pathOf(now, workflow, transition.name), 'toState'], waiting),
        way(approve, waiting, to),
        (now) => handOver(now, workflow, transition.name, approve),
      ]
  return inTurn(model, `Add ${name} between ${from} and ${to}`, [
    state(waiting, from, 'Waiting for somebody to approve'),
    ...ask,
    way(reject, waiting, refused),
    (now) => staffAction(now, handler.name, approve),
    (now) => staffAction(now, handler.name, reject),
  ])
}

const STAFF = 'support'

/** An action of a handler for staff, with a route of its own where the handler has such routes. */
function staffAction(model: Model, handler: string, transition: string): Change {
  const module = moduleNamed(model, handler)
  if (!module) throw new Refusal(`There is no module named \`${handler}\`.`)
  const label = `Let staff ${transition}`
  const like = model.routes.find(
    (route) =>
      route.handler === handler &&
      route.method === 'POST' &&
      /\{\w+\}\/\w+$/.test(route.path) &&
      rolesAt(model, route.at).length > 0,
  )
  return change(model, label, (draft) => {
    draft.put([...module.path, 'config', 'actions', transition], { transitions: [transition], roles: [STAFF] })
    if (!like) return
    const path = like.path.replace(/\w+$/, transition)
    const scope = text(at(model.source.value, ...like.at, 'scope'))
    const route: { [key: string]: Value } = {
      method: 'POST',
      path,
      handler,
      middlewares: like.middlewares,
      roles: [STAFF],
      ...(scope ? { scope } : {}),
    }
    const routes = ['workflows', 'http', 'routes']
    draft.insertItem(routes, Number(like.at.at(-1)) + 1, route)
  })
}

const rolesAt = (model: Model, path: Path): readonly unknown[] => list(at(model.source.value, ...path, 'roles'))

/** The one state for what has failed for good. */
export function failureOf({ states }: Machine): string {
  const failures = states.filter(({ isFinal, isError }) => isFinal && isError).map(({ name }) => name)
  const [only, ...more] = failures
  if (only !== undefined && more.length === 0) return only
  const ends = states.filter(({ isFinal }) => isFinal).map(({ name }) => name)
  throw new Refusal(
    `Say where it leads otherwise, with \`otherwise\` and one of ${listed(failures.length > 0 ? failures : ends)}.`,
  )
}

/** A state that work is put in and taken back from. */
export function stateBeside(model: Model, name: string, after: string): Change {
  const machine = machineOf(model, after)
  const workflow = machine.name
  const way = (own: string, from: string, to: string) => (now: Model) =>
    addTransition(now, { workflow, name: free(own, namesOf(machine)), from, to, maker: { by: 'nobody yet' } })
  return inTurn(model, `Add ${name} after ${after}`, [
    (now) => addState(now, { workflow, name, after }),
    way(`enter_${name}`, after, name),
    way(`leave_${name}`, name, after),
  ])
}

/** A way out of a state after a time. */
export function timerOn(model: Model, state: string, after: string, to?: string): Change {
  const machine = machineOf(model, state)
  const out = machine.transitions.filter(({ from }) => from === state)
  const other = out.find(({ makers }) => makers.some(({ by }) => by === 'timer'))
  if (other) throw new Refusal(`\`${other.name}\` leaves \`${state}\` by a timer already; a state has one.`)
  const soon = out.find(isAutomatic)
  if (soon) throw new Refusal(`\`${soon.name}\` leaves \`${state}\` at once, so no timer would come to it.`)
  const target = to ?? failureOf(machine)
  const name = free(`${state}_timed_out`, namesOf(machine))
  const maker = { by: 'timer' as const, after }
  const made = addTransition(model, { workflow: machine.name, name, from: state, to: target, maker })
  return { ...made, label: `Leave ${state} after ${after}` }
}

/** What leads into a state that waits for a step, to try it again from where it failed. */
export function retryFrom(model: Model, state: string, after: string, times: number): Change {
  const machine = machineOf(model, state)
  const failed = machine.transitions.find(
    ({ to, makers }) => to === state && makers.some((maker) => maker.by === 'step' && maker.outcome !== 'success'),
  )
  if (!failed) throw new Refusal(`No step fails into \`${state}\`, so there is nothing to try again.`)
  const back = machine.transitions.find(({ from, to }) => from === state && to === failed.from)
  if (back?.makers.some(({ by }) => by === 'timer')) {
    throw new Refusal(`\`${back.name}\` tries again by a timer already.`)
  }
  const label = `Try again from ${state}`
  const last = lastWay(machine, state)
  const giveUp: Gesture[] = last.isThere
    ? []
    : [
        (now) =>
          addTransition(now, {
            workflow: machine.name,
            name: last.name,
            from: state,
            to: failureOf(machine),
            maker: { by: 'nobody yet' },
          }),
      ]
  if (back) {
    const limit: Gesture = (now) =>
      change(now, label, (draft) => {
        draft.put([...back.path, 'after'], after)
        draft.put([...back.path, 'maxAttempts'], times)
        draft.put([...back.path, 'exhausted'], last.name)
      })
    return inTurn(model, label, [...giveUp, limit])
  }
  const name = free(`retry_${failed.from}`, namesOf(machine))
  const entering = machine.transitions.filter(({ to }) => to === failed.from).map((one) => one.name)
  const maker = { by: 'timer' as const, after, maxAttempts: times, exhausted: last.name }
  return inTurn(model, label, [
    ...giveUp,
    (now) => addTransition(now, { workflow: machine.name, name, from: state, to: failed.from, maker }),
    (now) => startedBy(now, machine.name, entering, name),
  ])
}

/** The transition by which a state is given up: one to an end, if there is one. */
function lastWay({ states, transitions }: Machine, state: string): { name: string; isThere: boolean } {
  const ends = states.filter(({ isFinal }) => isFinal).map(({ name }) => name)
  const there = transitions.find(({ from, to }) => from === state && ends.includes(to))
  if (there) return { name: there.name, isThere: true }
  return {
    name: free(
      `give_up_${state}`,
      transitions.map(({ name }) => name),
    ),
    isThere: false,
  }
}

/** Whatever hooks start at some of these transitions they start at this one too. */
function startedBy(model: Model, workflow: string, entering: readonly string[], name: string): Change {
  return change(model, `Start at ${name}`, (draft) => {
    for (const [index, hook] of list(at(model.source.value, ...HOOKS)).entries()) {
      const own = list(at(hook, 'transitions'))
      const isMeant = at(hook, 'workflowType') === workflow && own.some((one) => entering.includes(String(one)))
      if (isMeant) draft.append([...HOOKS, index, 'transitions'], name)
    }
  })
}

/** Whoever hears of the states of a workflow hears of this one too. */
export function tellOf(model: Model, state: string): Change {
  const machine = machineOf(model, state)
  const tellers = new Set(ofType(model, 'messaging.handler').map(({ name }) => name))
  const hooks = list(at(model.source.value, ...HOOKS))
  const own = hooks.findIndex(
    (hook) =>
      at(hook, 'workflowType') === machine.name &&
      tellers.has(String(at(hook, 'handler'))) &&
      list(at(hook, 'toStates')).length > 0,
  )
  if (own >= 0 && list(at(hooks[own], 'toStates')).includes(state)) {
    throw new Refusal(`\`${at(hooks[own], 'handler')}\` is told of \`${state}\` already.`)
  }
  const [teller] = tellers
  if (!teller) throw new Refusal('Nothing tells of states: add a Message Handler first.')
  return change(model, `Tell of ${state}`, (draft) => {
    if (own >= 0) draft.append([...HOOKS, own, 'toStates'], state)
    else draft.append(HOOKS, { workflowType: machine.name, toStates: [state], handler: teller })
  })
}

/** The routes that some words mean: a path, the name of a handler, or all. */
function routesOf(model: Model, words: string): Model['routes'] {
  const own = model.routes.filter(
    ({ path, handler }) =>
      words === 'all routes' || handler === words || path === words || path.startsWith(`${words}/`),
  )
  if (own.length === 0) throw new Refusal(`No route has the path or the handler \`${words}\`.`)
  return own
}

/** Routes pass a middleware of a type as well; it is made if there is none. */
export function passThrough(
  model: Model,
  type: string,
  words: string,
  { config = {}, isFirst = false }: { config?: { [key: string]: Value }; isFirst?: boolean } = {},
): Change {
  const [there] = ofType(model, type)
  const routes = routesOf(model, words)
  const name = there?.name ?? addModule(model, { type, config }).name
  const lacking = routes.filter(({ middlewares }) => !middlewares.includes(name))
  if (lacking.length === 0) throw new Refusal(`These routes pass \`${name}\` already.`)
  const count = `${lacking.length} ${lacking.length === 1 ? 'route' : 'routes'}`
  return inTurn(model, `Lead ${count} through ${name}`, [
    ...(there ? [] : [(now: Model) => addModule(now, { type, config, name })]),
    (now) =>
      change(now, 'Pass', (draft) => {
        for (const { at: path, middlewares } of lacking) {
          const own = [...path, 'middlewares']
          if (isFirst && middlewares.length > 0) draft.insertItem(own, 0, name)
          else draft.append(own, name)
        }
      }),
  ])
}

/** The parts that anything with routes needs, those that are not there yet. */
function ground(model: Model, ...types: string[]): Gesture[] {
  const missing = types.filter((type) => ofType(model, type).length === 0)
  const serving: Gesture = (now) => {
    const [server] = ofType(now, 'http.server')
    const [router] = ofType(now, 'http.router')
    if (!server || !router || at(now.source.value, 'workflows', 'http')) return { label: '', edits: [] }
    const serves = connect(now, server.name, router.name).find(({ label }) => label.includes('serves'))
    return serves ? serves.make() : { label: '', edits: [] }
  }
  return [...missing.map((type) => (now: Model) => addModule(now, { type })), serving]
}

const SERVING = ['http.server', 'http.router', 'database.workflow', 'persistence.store'] as const

/** A kind of thing that can be made, listed, read, changed and deleted. */
export function resource(model: Model, name: string, config: { [key: string]: Value } = {}): Change {
  const handler = `${name}-api`
  const routes =
    ofType(model, 'auth.jwt').length > 0
      ? model.routes.find(({ middlewares }) =>
          middlewares.some((one) => moduleNamed(model, one)?.type === 'http.middleware.auth'),
        )
      : undefined
  const middlewares = routes?.middlewares ?? []
  const add = (method: string, path: string) => (now: Model) => addRoute(now, { method, path, handler, middlewares })
  const owner = routes ? { owner: 'creator' } : {}
  return inTurn(model, `Add the resource ${name}`, [
    ...ground(model, ...SERVING),
    (now) =>
      addModule(now, { type: 'api.handler', name: handler, config: { resourceName: name, ...owner, ...config } }),
    add('POST', `/api/${name}`),
    add('GET', `/api/${name}`),
    add('GET', `/api/${name}/{id}`),
    add('PUT', `/api/${name}/{id}`),
  ])
}

/** People who register and log in. */
export function accounts(model: Model): Change {
  const route = (method: string, path: string) => (now: Model) =>
    addRoute(now, { method, path, handler: ofType(now, 'auth.jwt')[0]?.name ?? '', middlewares: [] })
  if (ofType(model, 'auth.jwt').length > 0) throw new Refusal('There are accounts already.')
  return inTurn(model, 'Add accounts', [
    ...ground(model, ...SERVING, 'auth.jwt', 'http.middleware.auth'),
    route('POST', '/api/auth/register'),
    route('POST', '/api/auth/login'),
  ])
}

/** A resource whose things go through the states of a machine. */
export function workflow(model: Model, name: string): Change {
  return inTurn(model, `Add the workflow ${name}`, [
    ...ground(model, ...SERVING, 'statemachine.engine'),
    (now) => addMachine(now, name),
    (now) =>
      resource(now, `${name}s`, {
        workflowType: name,
        workflowEngine: ofType(now, 'statemachine.engine')[0]?.name ?? '',
        actions: { finish: ['finish'] },
      }),
    (now) => addRoute(now, { method: 'POST', path: `/api/${name}s/{id}/finish`, handler: `${name}s-api` }),
  ])
}

/** Modules of these types, those that are not there. */
export function modulesOf(model: Model, label: string, ...types: string[]): Change {
  const gestures = ground(model, ...types)
  if (types.every((type) => ofType(model, type).length > 0)) throw new Refusal('They are there already.')
  return inTurn(model, label, gestures)
}

/** Requests below a path go to another process. */
export function proxy(model: Model, path: string, target: string): Change {
  const [own] = ofType(model, 'http.simple_proxy')
  const label = `Pass ${path} to ${target}`
  if (!own)
    return { ...addModule(model, { type: 'http.simple_proxy', config: { targets: { [path]: target } } }), label }
  if (at(own.config, 'targets', path) !== undefined) throw new Refusal(`\`${own.name}\` passes \`${path}\` on already.`)
  return change(model, label, (draft) => draft.put([...own.path, 'config', 'targets', path], target))
}

/** A handler hears of a topic. */
export function subscribe(model: Model, handler: string, topic: string): Change {
  if (moduleNamed(model, handler)?.type !== 'messaging.handler') {
    throw new Refusal(
      `\`${handler}\` is no Message Handler. There are ${listed(ofType(model, 'messaging.handler').map(({ name }) => name))}.`,
    )
  }
  const [bus] = [...ofType(model, 'messaging.broker'), ...ofType(model, 'messaging.kafka')]
  if (!bus) throw new Refusal('There is no broker: add a Message Broker first.')
  const hears = connect(model, bus.name, handler).find(({ asks }) => asks.includes('topic'))
  if (!hears) throw new Refusal(`\`${handler}\` cannot hear of a topic of \`${bus.name}\`.`)
  return { ...hears.make({ topic }), label: `Let ${handler} hear of ${topic}` }
}
