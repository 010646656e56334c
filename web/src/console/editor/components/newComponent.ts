/** A component that somebody has built, put into a config: its module, and what has it run. */
import { addModule, type Change } from '../../commands.ts'
import { inTurn } from '../../copilot/proposal.ts'
import { stepBetween, subscribe } from '../../copilot/templates.ts'
import { Refusal } from '../../edits.ts'
import { type Model, moduleNamed } from '../../lens.ts'
import { at, list, text } from '../../references.ts'

/** What a component is for. */
export type Purpose =
  /** A step of a workflow, on the way from one state to another. */
  | { kind: 'step'; from: string; to: string; otherwise?: string | undefined }
  /** It hears of the events of a topic. */
  | { kind: 'handler'; topic: string }
  /** Nothing runs it yet. */
  | { kind: 'module' }

/** A file that is there. */
export interface Built {
  /** Name of the module. */
  name: string
  /** Where the file is, as the config says it. */
  source: string
  /** What the component calls itself. */
  expect: string
  /** What it does; may be empty. */
  summary: string
}

/** Writes the module of a component, unless it is there, and what runs it, as one gesture. */
export function putIn(model: Model, built: Built, purpose: Purpose): Change {
  const { name } = built
  const there = moduleNamed(model, name)
  if (there && there.type !== 'dynamic.component') {
    throw new Refusal(`There is a module named \`${name}\` already, and it is no component.`)
  }
  const config = settings(built)
  if (purpose.kind === 'step') {
    const { from, to, otherwise } = purpose
    return stepBetween(model, { name, from, to, otherwise, component: there ? name : { name, config } })
  }
  const module = (now: Model) => addModule(now, { type: 'dynamic.component', name, config })
  if (purpose.kind === 'module') {
    if (there) throw new Refusal(`\`${name}\` is in the config already. Say what runs it.`)
    return module(model)
  }
  const { topic } = purpose
  const handler = `${name}-handler`
  const run = (now: Model) =>
    addModule(now, { type: 'messaging.handler', name: handler, config: { topic: pattern(topic), component: name } })
  return inTurn(model, `Let ${name} hear of ${topic}`, [
    ...(there ? [] : [module]),
    run,
    (now) => subscribe(now, handler, topic),
  ])
}

/** A dollar sign would be taken for a variable. */
function settings({ source, expect, summary }: Built): { source: string; [key: string]: string | { name: string } } {
  const described = summary && !summary.includes('$') ? { description: summary } : {}
  return { source, expect: { name: expect }, ...described }
}

/** The topics that a handler is about: those of the same kind of thing. */
function pattern(topic: string): string {
  const kind = topic.replace(/\.[^.]*$/, '')
  return kind === topic ? topic : `${kind}.*`
}

/** A transition that a step can come into. */
export interface Way {
  workflow: string
  from: string
  to: string
}

/** Between which states a step can be put: each pair once, in the sequence of the config. */
export function ways(model: Model): Way[] {
  const all = model.machines.flatMap(({ name: workflow, transitions, states }) =>
    transitions
      .filter(({ from, to }) => from !== to && states.some(({ name, awaits }) => name === from && !awaits))
      .map(({ from, to }) => ({ workflow, from, to })),
  )
  const seen = new Set<string>()
  return all.filter(({ from, to }) => {
    const key = JSON.stringify([from, to])
    return !seen.has(key) && Boolean(seen.add(key))
  })
}

/** Topics that the config hears of. */
export function topics(model: Model): string[] {
  const config = model.source.value
  const heard = [
    at(config, 'workflows', 'messaging', 'subscriptions'),
    at(config, 'triggers', 'event', 'subscriptions'),
  ]
  return [...new Set(heard.flatMap(list).flatMap((one) => text(at(one, 'topic')) ?? []))].sort()
}
