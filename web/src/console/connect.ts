/** What a line that is drawn from one module to another may mean. Where several meanings fit, a person chooses. */
import { addRoute, type Change, change } from './commands.ts'
import { Refusal } from './edits.ts'
import { type Model, moduleNamed } from './lens.ts'
import type { Module } from './modules.ts'
import { BUSES, PLACES } from './references.ts'

/** What has to be known to write it. */
export type Question = 'method' | 'path' | 'topic' | 'service' | 'workflow' | 'state'
export type Answers = Partial<Record<Question, string>>

export interface Choice {
  /** One sentence: `step-payment runs payment-processor`. */
  label: string
  asks: readonly Question[]
  /** Throws a refusal where an answer is missing or does not fit. */
  make: (answers?: Answers) => Change
}

const HANDLERS = ['auth.jwt', 'api.handler', 'http.simple_proxy']
const MIDDLEWARES = [
  'http.middleware.cors',
  'http.middleware.requestid',
  'http.middleware.ratelimit',
  'http.middleware.auth',
]
const REACTIONS = ['processing.step', 'messaging.handler', 'dynamic.component']

/** Sentences about a setting that names another module. */
const SAID: Record<string, (own: string, named: string) => string> = {
  workflowEngine: (own, named) => `${own} has its workflow run by ${named}`,
  'pricing/catalogue': (own, named) => `${own} takes prices from ${named}`,
  database: (own, named) => `${own} stores in ${named}`,
  'capabilities/http/*/handler': (own, named) => `${own} may call ${named}`,
  componentId: (own, named) => `${own} runs ${named}`,
  component: (own, named) => `${own} runs ${named}`,
  'rateLimit/limiter': (own, named) => `${own} has the limits of ${named}`,
}

/** Everything that a line from one module down to another may mean; the first is the likeliest. Throws a refusal, with the reason, if nothing does. */
export function connect(model: Model, from: string, to: string): Choice[] {
  const [upper, lower] = [moduleNamed(model, from), moduleNamed(model, to)]
  if (!upper || !lower) throw new Refusal(`There is no module named \`${upper ? to : from}\`.`)
  if (from === to) throw new Refusal('A module is not connected with itself.')
  const both: [Module, Module][] = [
    [upper, lower],
    [lower, upper],
  ]
  const meant = both.flatMap(([one, other]) => [...bySetting(model, one, other), ...bySection(model, one, other)])
  const needed = dependency(model, upper, lower)
  if (meant.length > 0) return typeof needed === 'string' ? meant : [...meant, needed]
  if (typeof needed === 'string') throw new Refusal(needed)
  return [needed]
}

function given(answers: Answers | undefined, question: Question): string {
  const answer = answers?.[question]?.trim()
  if (!answer) throw new Refusal(`Say which ${question}.`)
  return answer
}

/** One key of `own` that names `named`. */
function bySetting(model: Model, own: Module, named: Module): Choice[] {
  const places = PLACES.filter(({ of, types }) => of === own.type && types?.includes(named.type))
  return places.flatMap(({ at }): Choice[] => {
    const label = SAID[at]?.(own.name, named.name) ?? `${own.name} names ${named.name} as ${at}`
    const there = model.names.some(
      ({ path, name, place }) => place.at === at && path[1] === own.path[1] && name === named.name,
    )
    if (there) return []
    if (!at.includes('*')) {
      const path = [...own.path, 'config', ...at.split('/')]
      return [
        {
          label,
          asks: [],
          make: () => change(model, `Connect: ${label}`, (draft) => draft.put(path, named.name, ['name', 'type'])),
        },
      ]
    }
    const grants = [...own.path, 'config', 'capabilities', 'http']
    const make = (answers?: Answers) =>
      change(model, `Connect: ${label}`, (draft) =>
        draft.append(grants, { service: given(answers, 'service'), handler: named.name }),
      )
    return [{ label, asks: ['service'], make }]
  })
}

/** An entry of a section that joins the two. */
function bySection(model: Model, one: Module, other: Module): Choice[] {
  if (one.type === 'http.server' && other.type === 'http.router') return serving(model, one.name, other.name)
  if (one.type === 'http.router' && HANDLERS.includes(other.type)) return [route(model, other.name)]
  if (MIDDLEWARES.includes(one.type) && HANDLERS.includes(other.type)) return passing(model, one.name, other.name)
  if (one.type === 'statemachine.engine' && REACTIONS.includes(other.type)) return [hook(model, other.name)]
  if ((BUSES as readonly string[]).includes(one.type) && other.type === 'messaging.handler')
    return [subscription(model, other.name)]
  return []
}

function serving(model: Model, server: string, router: string): Choice[] {
  const label = `${server} serves the routes of ${router}`
  if (model.edges.some(({ kind, from, to }) => kind === 'serves' && from === server && to === router)) return []
  const make = () =>
    change(model, `Connect: ${label}`, (draft) => {
      if (!draft.source.entry(['workflows', 'http'])) {
        draft.put(['workflows', 'http'], { router, server }, ['modules'])
        return
      }
      draft.put(['workflows', 'http', 'router'], router)
      draft.put(['workflows', 'http', 'server'], server)
    })
  return [{ label, asks: [], make }]
}

function route(model: Model, handler: string): Choice {
  const label = `A route is answered by ${handler}`
  const make = (answers?: Answers) =>
    addRoute(model, { method: given(answers, 'method'), path: given(answers, 'path'), handler })
  return { label, asks: ['method', 'path'], make }
}

/** The routes of a handler go through a middleware as well, after those that they have. */
function passing(model: Model, middleware: string, handler: string): Choice[] {
  const routes = model.routes.filter((own) => own.handler === handler && !own.middlewares.includes(middleware))
  if (routes.length === 0) return []
  const label = `${routes.length === 1 ? 'The route' : `All ${routes.length} routes`} of ${handler} that lack it pass ${middleware}`
  const make = () =>
    change(model, `Connect: ${label}`, (draft) => {
      for (const own of routes) draft.append([...own.at, 'middlewares'], middleware)
    })
  return [{ label, asks: [], make }]
}

function hook(model: Model, handler: string): Choice {
  const label = `Entering a state starts ${handler}`
  const make = (answers?: Answers) => {
    const entry = { workflowType: given(answers, 'workflow'), toStates: [given(answers, 'state')], handler }
    return change(model, `Connect: ${label}`, (draft) => draft.append(['workflows', 'statemachine', 'hooks'], entry))
  }
  return { label, asks: ['workflow', 'state'], make }
}

function subscription(model: Model, handler: string): Choice {
  const label = `${handler} hears of a topic`
  const path = ['workflows', 'messaging']
  const make = (answers?: Answers) => {
    const entry = { topic: given(answers, 'topic'), handler }
    return change(model, `Connect: ${label}`, (draft) => {
      if (draft.source.entry(path)) draft.append([...path, 'subscriptions'], entry)
      else draft.put(path, { broker: busOf(model), subscriptions: [entry] }, ['http', 'statemachine'])
    })
  }
  return { label, asks: ['topic'], make }
}

function busOf(model: Model): string {
  return model.modules.find(({ type }) => (BUSES as readonly string[]).includes(type))?.name ?? ''
}

/** The lower one starts after the upper one; or why it cannot. */
function dependency(model: Model, upper: Module, lower: Module): Choice | string {
  if (lower.dependsOn.includes(upper.name)) return `\`${lower.name}\` depends on \`${upper.name}\` already.`
  if (needs(model, upper.name, lower.name, new Set())) {
    return `\`${upper.name}\` depends on \`${lower.name}\`, so the other way round would be a circle.`
  }
  const label = `${lower.name} depends on ${upper.name}`
  const make = () =>
    change(model, `Connect: ${label}`, (draft) => draft.append([...lower.path, 'dependsOn'], upper.name))
  return { label, asks: [], make }
}

function needs(model: Model, one: string, other: string, seen: Set<string>): boolean {
  if (one === other) return true
  if (seen.has(one)) return false
  seen.add(one)
  return moduleNamed(model, one)?.dependsOn.some((name) => needs(model, name, other, seen)) ?? false
}
