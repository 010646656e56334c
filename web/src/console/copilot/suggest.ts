/** What a careful person would add to a config: by rules, each with its reason, and with the change where there is one. */
import { type Change, change, setValue } from '../commands.ts'
import type { Model } from '../lens.ts'
import { hooksOf, type Machine, type State, type Transition } from '../machines.ts'
import { at, list, text } from '../references.ts'
import type { Path } from '../source.ts'
import { longest } from './explain.ts'
import { type Gesture, outcomeOf } from './proposal.ts'
import { modulesOf, ofType, passThrough, retryFrom, subscribe, tellOf, timerOn } from './templates.ts'

export interface Suggestion {
  /** What there is to see. */
  title: string
  /** Why somebody would want it otherwise. */
  why: string
  path: Path | null
  /** The change; `null` where only a person knows what is right. */
  make: Gesture | null
}

type Rule = (model: Model) => Suggestion[]

/** Everything that the rules see. A change that cannot be made is not offered. */
export function suggestions(model: Model): Suggestion[] {
  if (model.readOnly) return []
  return RULES.flatMap((rule) => rule(model)).map((one) =>
    one.make && 'refusal' in outcomeOf(model, { make: one.make }) ? { ...one, make: null } : one,
  )
}

const labelled =
  (make: Gesture, label: string): Gesture =>
  (model) => ({ ...make(model), label })

const ofMachines =
  (look: (machine: Machine, model: Model) => Suggestion[]): Rule =>
  (model) =>
    model.machines.flatMap((machine) => look(machine, model))

const isBy = ({ makers }: Transition, ...kinds: string[]): boolean => makers.some(({ by }) => kinds.includes(by))

/** A state that only people or other programs lead out of, with no time after which something happens. */
const waiting = ofMachines((machine) =>
  machine.states.flatMap((state) => {
    const out = machine.transitions.filter(({ from }) => from === state.name)
    if (state.isFinal || state.awaits || out.length === 0) return []
    if (out.some((one) => isBy(one, 'automatic', 'timer', 'deadline'))) return []
    // What the host makes in the commit that creates an instance does not wait.
    if (state.name === machine.initial && out.some((one) => isBy(one, 'creation', 'request'))) return []
    return [
      {
        title: `${state.name} waits without end`,
        why: 'Only somebody who asks for it leads out of there. A timer ends what nobody looks after.',
        path: state.path,
        make: (model) => timerOn(model, state.name, '24h'),
      } satisfies Suggestion,
    ]
  }),
)

/** A timer that goes on for ever and tells nobody. */
const endless = ofMachines((machine, { source }) =>
  machine.transitions.flatMap((one): Suggestion[] => {
    const timer = one.makers.find((maker) => maker.by === 'timer')
    if (!timer || timer.maxAttempts !== null || !leadsBack(machine, one)) return []
    if (at(source.value, ...one.path, 'attentionAfter') !== undefined) return []
    return [
      {
        title: `${one.name} is tried without end`,
        why: 'After some times it is no accident any more: a person is told then, and the timer goes on.',
        path: one.path,
        make: labelled(
          (model) => setValue(model, [...one.path, 'attentionAfter'], 5),
          `Ask for attention at ${one.name}`,
        ),
      },
    ]
  }),
)

function leadsBack({ transitions }: Machine, { from, to }: Transition): boolean {
  const seen = new Set<string>([to])
  for (const here of seen) {
    if (here === from) return true
    for (const one of transitions) if (one.from === here) seen.add(one.to)
  }
  return false
}

/** A step whose failure leads to a state from which nothing tries again. */
const untried = ofMachines((machine) =>
  machine.states.flatMap((state): Suggestion[] => {
    if (state.isFinal) return []
    const failed = machine.transitions.find(({ to, makers }) => to === state.name && makers.some(isFailure))
    if (!failed || machine.transitions.some((one) => one.from === state.name && isBy(one, 'timer', 'automatic')))
      return []
    return [
      {
        title: `Nothing tries again from ${state.name}`,
        why: 'What fails at first often works a moment later. A timer tries it three times more.',
        path: state.path,
        make: (model) => retryFrom(model, state.name, '30s', 3),
      },
    ]
  }),
)

const isFailure = (maker: Transition['makers'][number]): boolean => maker.by === 'step' && maker.outcome !== 'success'

/** A failure that nobody hears of, where others are told. */
const unheard = ofMachines((machine, model) => {
  const tellers = new Set(ofType(model, 'messaging.handler').map(({ name }) => name))
  const hooks = hooksOf(model.source.value).filter(
    ({ workflow, handler }) => workflow === machine.name && tellers.has(handler),
  )
  if (hooks.length === 0) return []
  const isTold = ({ name }: State) =>
    machine.transitions.some((one) => one.to === name && hooks.some((hook) => hook.matches(one)))
  return machine.states
    .filter((state) => (state.isError || failsInto(machine, state)) && !isTold(state))
    .map((state) => ({
      title: `Nobody is told of ${state.name}`,
      why: 'It is a failure, and other states of the machine are told.',
      path: state.path,
      make: (own: Model) => tellOf(own, state.name),
    }))
})

const failsInto = ({ transitions }: Machine, { name }: State): boolean =>
  transitions.some(({ to, makers }) => to === name && makers.some(isFailure))

/** An end that only failures lead to, and that does not say so. */
const unmarked = ofMachines((machine) =>
  machine.states.flatMap((state): Suggestion[] => {
    const into = machine.transitions.filter(({ to }) => to === state.name)
    if (!state.isFinal || state.isError || into.length === 0) return []
    if (!into.every(({ makers }) => makers.length > 0 && makers.every(isFailure))) return []
    return [
      {
        title: `${state.name} is a failure and does not say so`,
        why: 'Only rejections lead there. Figures and drawings count it as a success until it is marked.',
        path: state.path,
        make: (model) => ({
          ...setValue(model, [...state.path, 'isError'], true),
          label: `Mark ${state.name} as a failure`,
        }),
      },
    ]
  }),
)

/** A failure that takes nothing back: a component did something before it, and no hook is there for what comes then. */
const uncompensated = ofMachines((machine, model) => {
  const hooks = hooksOf(model.source.value).filter(({ workflow }) => workflow === machine.name)
  const steps = machine.states.filter(({ awaits }) => awaits !== null)
  if (steps.length < 2) return []
  const components = new Set(ofType(model, 'dynamic.component').map(({ name }) => name))
  return machine.states.flatMap((state): Suggestion[] => {
    if (!state.isFinal || !state.isError) return []
    const into = machine.transitions.filter(({ to }) => to === state.name)
    const late = into.filter(({ from }) => steps.findIndex(({ name }) => name === from) > 0)
    if (
      late.length === 0 ||
      into.some((one) => hooks.some((hook) => components.has(hook.handler) && hook.matches(one)))
    )
      return []
    return [
      {
        title: `${state.name} takes nothing back`,
        why: `Steps before it may have done something. Which component takes it back only a person knows: connect the State Machine with it, and choose ${state.name}.`,
        path: state.path,
        make: null,
      },
    ]
  })
})

/** What is held is given back before the step that needs it could have ended. */
const tooLong: Rule = (model) =>
  ofType(model, 'processing.step').flatMap((step): Suggestion[] => {
    const most = longest(step)
    if (most === null || most <= 600) return []
    return [
      {
        title: `${step.name} may take ${Math.round(most / 60)} minutes`,
        why: 'All its attempts and waits together. People wait for the answer, and what is held for them is held that long.',
        path: step.path,
        make: null,
      },
    ]
  })

const closes = (model: Model, name: string): boolean =>
  ofType(model, 'http.middleware.auth').some((one) => one.name === name)
const limits = (model: Model, name: string): boolean =>
  ofType(model, 'http.middleware.ratelimit').some((one) => one.name === name)

/** A route that changes something without a token, beside some that ask for one. */
const open: Rule = (model) =>
  model.routes.flatMap((route): Suggestion[] => {
    const isClosed = (one: Model['routes'][number]) => one.middlewares.some((name) => closes(model, name))
    const isHandler = ofType(model, 'api.handler').some(({ name }) => name === route.handler)
    const beside = model.routes.find((one) => one.handler === route.handler && isClosed(one))
    if (!isHandler || route.method === 'GET' || isClosed(route) || !beside) return []
    const own = beside.middlewares.find((name) => closes(model, name)) ?? ''
    return [
      {
        title: `Anybody may call ${route.method} ${route.path}`,
        why: `Other routes of ${route.handler} take a token, and this one changes something.`,
        path: route.at,
        make: (now: Model): Change =>
          change(now, `Require a login on ${route.method} ${route.path}`, (draft) =>
            draft.append([...route.at, 'middlewares'], own),
          ),
      },
    ]
  })

/** Routes without a limit beside some with one, or no limit at all. */
const unlimited: Rule = (model) => {
  if (model.routes.length === 0) return []
  const lacking = model.routes.filter(({ middlewares }) => !middlewares.some((name) => limits(model, name)))
  if (lacking.length === 0) return []
  const count =
    lacking.length === model.routes.length ? 'No route has' : `${lacking.length} of ${model.routes.length} routes lack`
  return [
    {
      title: `${count} a limit of requests`,
      why: 'One client could take what all need, and try passwords as fast as it likes.',
      path: lacking[0]?.at ?? null,
      make: labelled(
        (now) =>
          passThrough(now, 'http.middleware.ratelimit', 'all routes', {
            config: { requestsPerMinute: 300, burstSize: 50 },
            isFirst: true,
          }),
        'Limit the requests of one client',
      ),
    },
  ]
}

const anyOrigin: Rule = (model) =>
  ofType(model, 'http.middleware.cors')
    .filter(({ config }) => list(config.allowedOrigins).includes('*'))
    .map(({ name, path }) => ({
      title: `${name} lets any site call`,
      why: 'That is right for an open API. Where only your own pages call it, name their addresses in Allowed Origins.',
      path,
      make: null,
    }))

/** A topic that is published, and nobody hears. */
const unheardTopics: Rule = (model) => {
  const config = model.source.value
  const heard = [
    ...list(at(config, 'workflows', 'messaging', 'subscriptions')),
    ...list(at(config, 'triggers', 'event', 'subscriptions')),
  ].map((one) => text(at(one, 'topic')) ?? '')
  const handlers = ofType(model, 'messaging.handler')
  return ofType(model, 'messaging.broker').flatMap(({ config: own, path }) =>
    list(own.topics)
      .map(String)
      .filter((topic) => !heard.includes(topic) && !topic.includes('*'))
      .map((topic): Suggestion => {
        const handler = handlers.find((one) => covers(String(one.config.topic), topic))
        return {
          title: `Nobody hears of ${topic}`,
          why: 'The event is published, and nothing in this process does anything about it.',
          path: [...path, 'config', 'topics'],
          make: handler ? (now) => subscribe(now, handler.name, topic) : null,
        }
      }),
  )
}

const covers = (pattern: string, topic: string): boolean =>
  pattern === topic || (pattern.endsWith('.*') && topic.startsWith(pattern.slice(0, -1)))

/** What whoever runs a process looks at. */
const unseen: Rule = (model) => {
  if (ofType(model, 'http.server').length === 0) return []
  const missing = ['health.checker', 'metrics.collector'].filter((type) => ofType(model, type).length === 0)
  if (missing.length === 0) return []
  const words = missing.map((type) => (type === 'health.checker' ? 'health checks' : 'metrics')).join(' and ')
  return [
    {
      title: `It has no ${words}`,
      why: 'Without them nobody sees whether the process is well, and why not.',
      path: null,
      make: (now) => modulesOf(now, `Add ${words}`, ...missing),
    },
  ]
}

/** A component of which any file would be taken. */
const unexpected: Rule = (model) =>
  ofType(model, 'dynamic.component')
    .filter(({ config }) => config.expect === undefined)
    .map(({ name, path }) => ({
      title: `${name} takes the file of any component`,
      why: 'With `expect` the file of another one is refused, at the start and while running. It has the name that the component gives itself.',
      path,
      make: null,
    }))

const RULES: readonly Rule[] = [
  untried,
  waiting,
  endless,
  unheard,
  unmarked,
  uncompensated,
  tooLong,
  open,
  unlimited,
  anyOrigin,
  unheardTopics,
  unseen,
  unexpected,
]
