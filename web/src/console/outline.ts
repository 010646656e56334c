/** A config as a tree of words: the outline is a second editor beside the canvas, and has everything that can be edited. */
import type { Route } from './edges.ts'
import type { Machine } from './machines.ts'
import type { Module } from './modules.ts'
import type { Role } from './moduleTypes.ts'
import { at, list, text } from './references.ts'
import type { Path } from './source.ts'

export interface OutlineItem {
  label: string
  /** What else there is to know, in a few words. */
  detail: string
  /** Where it is written; `null` of a heading for things that are written in several places. */
  path: Path | null
  children: OutlineItem[]
}

const ROLES: readonly [Role, string][] = [
  ['edge', 'Edge'],
  ['accounts', 'Accounts'],
  ['resources', 'Resources'],
  ['process', 'Process'],
  ['events', 'Events'],
  ['operation', 'Operation'],
  ['other', 'Other'],
]

/** The tree. Parts that a config does not have are not in it. */
export function outlineOf(
  config: unknown,
  modules: readonly Module[],
  machines: readonly Machine[],
  routes: readonly Route[],
): OutlineItem[] {
  const parts: OutlineItem[] = [
    heading('Modules', ['modules'], byRole(modules)),
    heading('Routes', ['workflows', 'http', 'routes'], routes.map(ofRoute)),
    heading('Machines', ['workflows', 'statemachine', 'definitions'], machines.map(ofMachine)),
    heading('Hooks', ['workflows', 'statemachine', 'hooks'], entries(config, HOOKS, 'handler', 'workflowType')),
    heading('Subscriptions', SUBSCRIPTIONS, entries(config, SUBSCRIPTIONS, 'topic', 'handler')),
    heading('Triggers', null, [
      ...entries(config, ['triggers', 'http', 'routes'], 'path', 'action'),
      ...entries(config, ['triggers', 'event', 'subscriptions'], 'event', 'action'),
    ]),
  ]
  return parts.filter(({ children }) => children.length > 0)
}

const HOOKS = ['workflows', 'statemachine', 'hooks']
const SUBSCRIPTIONS = ['workflows', 'messaging', 'subscriptions']

function heading(label: string, path: Path | null, children: OutlineItem[]): OutlineItem {
  return { label, detail: '', path, children }
}

function byRole(modules: readonly Module[]): OutlineItem[] {
  return ROLES.map(([role, label]) => {
    const own = modules.filter((module) => module.role === role)
    return heading(
      label,
      null,
      own.map(({ name, label: type, path }) => ({ label: name, detail: type, path, children: [] })),
    )
  }).filter(({ children }) => children.length > 0)
}

function ofRoute({ method, path, handler, at: written }: Route): OutlineItem {
  return { label: `${method} ${path}`, detail: handler, path: written, children: [] }
}

function ofMachine({ name, path, states, transitions }: Machine): OutlineItem {
  return {
    label: name,
    detail: `${states.length} states`,
    path,
    children: states.map((state) => ({
      label: state.name,
      detail: state.isFinal ? 'final' : (state.awaits ?? ''),
      path: state.path,
      children: transitions
        .filter(({ from }) => from === state.name)
        .map((transition) => ({
          label: transition.name,
          detail: `to ${transition.to}`,
          path: transition.path,
          children: [],
        })),
    })),
  }
}

function entries(config: unknown, path: Path, label: string, detail: string): OutlineItem[] {
  return list(at(config, ...path)).map((entry, index) => ({
    label: text(at(entry, label)) ?? '',
    detail: text(at(entry, detail)) ?? '',
    path: [...path, index],
    children: [],
  }))
}
