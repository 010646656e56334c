/** What somebody asks for in a sentence, by rules: each template has its words, and what it makes of them. No model, no network. */
import { addModule, addRoute } from '../commands.ts'
import { Refusal } from '../edits.ts'
import { type Model, moduleNamed } from '../lens.ts'
import { addTransition } from '../machineCommands.ts'
import { MODULE_TYPES } from '../moduleTypes.ts'
import { BUSES } from '../references.ts'
import { type Gesture, outcomeOf, type Proposal } from './proposal.ts'
import {
  accounts,
  approvalBetween,
  componentFor,
  machineOf,
  modulesOf,
  type NewStep,
  passThrough,
  proxy,
  resource,
  retryFrom,
  sourceFor,
  stateBeside,
  stepBetween,
  subscribe,
  tellOf,
  timerOn,
  workflow,
} from './templates.ts'

/** The parts of a sentence that its template is about. */
type Slots = Readonly<Record<string, string>>

interface Template {
  /** A sentence that it understands, as it is told to those who ask for something else. */
  example: string
  words: RegExp
  why: string
  make: (slots: Slots) => Gesture
  left?: (slots: Slots, model: Model) => string[]
}

/** Something of this name on the way from one state to another. */
function between(name: string): RegExp {
  const way = 'between (?<from>\\S+) and (?<to>\\S+?)'
  const otherwise = '(?:,? (?:otherwise|or else|else) (?:go )?(?:to )?(?<otherwise>\\S+))?'
  return new RegExp(`^(?:add|put|insert|run) (?:an? |the )?(?<name>${name})(?: step)? ${way}${otherwise}$`, 'i')
}

function stepOf(slots: Slots): NewStep {
  return { name: slots.name ?? '', from: slots.from ?? '', to: slots.to ?? '', otherwise: slots.otherwise }
}

const slot = (slots: Slots, name: string): string => slots[name] ?? ''

/** A moment later, as configs write it: `30 minutes` is 30m. */
export function duration(words: string): string {
  const found = /^(an?|\d+)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)$/i.exec(
    words.trim(),
  )
  if (!found)
    throw new Refusal(`\`${words}\` is no time. Accepted is a number with a unit, such as 30 minutes, 10s or 2 hours.`)
  const [, count = '', unit = ''] = found
  const short = unit.startsWith('ms') || unit.startsWith('milli') ? 'ms' : unit.charAt(0).toLowerCase()
  return `${/^an?$/i.test(count) ? 1 : count}${short}`
}

const TEMPLATES: readonly Template[] = [
  {
    example: 'Add an approval by a person between validated and paying',
    words: between('(?:approval|review|sign-?off)(?: by .+?)?'),
    why: 'Work stops there until somebody of the staff says yes or no.',
    make: (slots) => (model) => approvalBetween(model, stepOf(slots)),
  },
  {
    example: 'Add a fraud check between validated and paying',
    words: between('.+?'),
    why: 'Work stops there until the answer is known. Yes goes on; no ends where failures end.',
    make: (slots) => (model) => stepBetween(model, stepOf(slots)),
    left: (slots, model) => {
      const { name, isThere } = componentFor(model, slot(slots, 'name'))
      return isThere
        ? []
        : [`The component ${name} is new. Make it with: millrace new ${name}. Its file is ${sourceFor(model, name)}.`]
    },
  },
  {
    example: 'Add a timer of 30 minutes to new, otherwise cancelled',
    words:
      /^(?:add|set) (?:an? )?(?:timer|timeout|time limit|deadline) (?:of|after) (?<after>.+?) (?:to|on|for|in) (?<state>\S+?)(?:,? (?:otherwise|else|then|and then|that leads to|leading to)(?: go)?(?: to)? (?<to>\S+))?$/i,
    why: 'What nobody does is done by the timer: no work waits there for ever.',
    make: (slots) => (model) => timerOn(model, slot(slots, 'state'), duration(slot(slots, 'after')), slots.to),
  },
  {
    example: 'Retry from ship_failed every 30 seconds 3 times',
    words:
      /^(?:add )?(?:an? )?retry (?:from |of |in |for )?(?<state>\S+?)(?: (?:every|after) (?<after>.+?))?(?:,? (?<times>\d+) times)?$/i,
    why: 'What failed for a moment works a moment later; after some times it is given up, and not before.',
    make: (slots) => (model) =>
      retryFrom(model, slot(slots, 'state'), duration(slots.after ?? '30s'), Number(slots.times ?? 3)),
  },
  {
    example: 'Add a state on_hold after validated',
    words: /^add (?:an? |the )?state (?<name>\S+) after (?<after>\S+)$/i,
    why: 'Work can be put there and taken back. Who does that is chosen in the forms of the two transitions.',
    make: (slots) => (model) => stateBeside(model, slot(slots, 'name'), slot(slots, 'after')),
  },
  {
    example: 'Add a transition hold from validated to cancelled',
    words: /^add (?:an? |the )?transition (?<name>\S+) from (?<from>\S+) to (?<to>\S+)$/i,
    why: 'A transition is a way from one state to another. Who makes it is chosen in its form.',
    make: (slots) => (model) => {
      const { name, from, to } = { name: slot(slots, 'name'), from: slot(slots, 'from'), to: slot(slots, 'to') }
      return addTransition(model, {
        workflow: machineOf(model, from).name,
        name,
        from,
        to,
        maker: { by: 'nobody yet' },
      })
    },
  },
  {
    example: 'Tell somebody of restock_failed',
    words:
      /^(?:tell|notify|inform|message)(?: somebody| people| them| customers| the customer)? (?:of|when|about) (?<state>\S+?)(?: is entered| happens)?$/i,
    why: 'What nobody is told of, nobody looks after.',
    make: (slots) => (model) => tellOf(model, slot(slots, 'state')),
  },
  {
    example: 'Let notification-handler hear of refund.closed',
    words: /^(?:let|subscribe) (?<handler>\S+) (?:hear of|to) (?<topic>\S+)$/i,
    why: 'An event reaches whoever has said that they hear of it.',
    make: (slots) => (model) => subscribe(model, slot(slots, 'handler'), slot(slots, 'topic')),
  },
  {
    example: 'Add a resource returns',
    words: /^add (?:an? |the )?(?:new )?resource (?:called |named )?(?<name>[a-z][a-z0-9-]*)$/i,
    why: 'Things of that name can be made, listed, read and changed. Where there are accounts, each belongs to who has made it.',
    make: (slots) => (model) => resource(model, slot(slots, 'name')),
  },
  {
    example: 'Add a workflow returning',
    words:
      /^add (?:an? |the )?(?:new )?(?:workflow|process|state machine) (?:called |named )?(?<name>[a-z][a-z0-9-]*)$/i,
    why: 'A resource whose things go from state to state, with the two states to begin with.',
    make: (slots) => (model) => workflow(model, slot(slots, 'name')),
  },
  {
    example: 'Add a route DELETE /api/products/{id} to products-api',
    words:
      /^add (?:an? |the )?route (?<method>GET|POST|PUT|DELETE|PATCH) (?<path>\/\S*) (?:to|for|answered by) (?<handler>\S+)$/i,
    why: 'It passes the middlewares that the other routes of the handler pass.',
    make: (slots) => (model) => {
      const handler = slot(slots, 'handler')
      if (!moduleNamed(model, handler)) throw new Refusal(`There is no module named \`${handler}\`.`)
      return addRoute(model, { method: slot(slots, 'method').toUpperCase(), path: slot(slots, 'path'), handler })
    },
  },
  {
    example: 'Add a rate limit of 100 to all routes',
    words:
      /^add (?:an? )?rate limit(?:er)?(?: of (?<count>\d+)(?: a minute| per minute)?)? to (?<routes>all routes|\S+)$/i,
    why: 'One client cannot take what all need. A limit that is there keeps its figure.',
    make: (slots) => (model) =>
      passThrough(model, 'http.middleware.ratelimit', slot(slots, 'routes'), {
        config: {
          requestsPerMinute: Number(slots.count ?? 300),
          burstSize: Math.max(1, Math.round(Number(slots.count ?? 300) / 6)),
        },
        isFirst: true,
      }),
  },
  {
    example: 'Require a login on products-api',
    words:
      /^(?:require|ask for|add) (?:an? )?(?:login|token|auth(?:entication)?) (?:on|for|to) (?<routes>all routes|\S+)$/i,
    why: 'Without a token these routes answer 401.',
    make: (slots) => (model) => passThrough(model, 'http.middleware.auth', slot(slots, 'routes')),
  },
  {
    example: 'Pass /stock on to http://stock:8080',
    words:
      /^(?:pass|send|forward|proxy) (?:requests below |everything below )?(?<path>\/\S*) (?:on )?to (?<target>https?:\/\/\S+)$/i,
    why: 'Requests below that path are answered by another process.',
    make: (slots) => (model) => proxy(model, slot(slots, 'path'), slot(slots, 'target')),
  },
  {
    example: 'Add accounts',
    words: /^add (?:user )?(?:accounts|users|people who log in)$/i,
    why: 'People register and log in; what they make belongs to them from then on.',
    make: () => accounts,
    left: () => ['Give the process JWT_SECRET, 32 bytes or more: openssl rand -base64 48'],
  },
  {
    example: 'Add health checks and metrics',
    words: /^add (?:an? )?(?:health(?: checks?)?(?: and metrics)?|metrics|monitoring)$/i,
    why: 'Whoever runs the process sees whether it is well, and what it does.',
    make: () => (model) => modulesOf(model, 'Add health checks and metrics', 'health.checker', 'metrics.collector'),
  },
  {
    example: 'Add a Message Broker',
    words: new RegExp(
      `^add (?:an? |the )?(?<label>${MODULE_TYPES.map(({ label }) => label.replaceAll(/[()]/g, '\\$&')).join('|')})$`,
      'i',
    ),
    why: 'It is written after its like, in the style of the file.',
    make: (slots) => (model) => {
      const type = MODULE_TYPES.find(({ label }) => label.toLowerCase() === slot(slots, 'label').toLowerCase())?.type
      const bus =
        BUSES.some((own) => own === type) && model.modules.find((module) => BUSES.some((own) => own === module.type))
      if (bus) throw new Refusal(`\`${bus.name}\` is the broker; a process has one.`)
      return addModule(model, { type: type ?? '' })
    },
  },
]

/** What can be asked for, each as a sentence. */
export const EXAMPLES: readonly string[] = TEMPLATES.map(({ example }) => example)

/** Where somebody begins who has nothing yet. */
export const CHIPS: readonly string[] = [
  'Add a resource notes',
  'Add a workflow request',
  'Add accounts',
  'Add a Message Broker',
  'Add health checks and metrics',
]

export type Answer =
  | { kind: 'proposal'; proposal: Proposal }
  | { kind: 'refused'; message: string }
  | { kind: 'unknown' }

/** What a sentence asks for. */
export function understood(sentence: string, model: Model): Answer {
  const words = sentence
    .trim()
    .replaceAll(/\s+/g, ' ')
    .replace(/^(?:please|could you|can you|i want to|i would like to) /i, '')
    .replace(/[.!?]$/, '')
    .replaceAll('`', '')
  for (const template of TEMPLATES) {
    const found = words === '' ? null : template.words.exec(words)
    if (found) return answered(template, { ...found.groups }, model)
  }
  return { kind: 'unknown' }
}

function answered(template: Template, slots: Slots, model: Model): Answer {
  if (model.readOnly) return { kind: 'refused', message: model.readOnly }
  const make = template.make(slots)
  const outcome = outcomeOf(model, { make })
  if ('refusal' in outcome) return { kind: 'refused', message: outcome.refusal }
  const left = template.left?.(slots, model) ?? []
  return { kind: 'proposal', proposal: { title: outcome.label, why: template.why, path: null, make, left } }
}
