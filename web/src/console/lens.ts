/** A text, seen as modules, edges, machines, routes and an outline. Nothing of this is stored: the text is the only truth. */
import { sourceOf } from './draft.ts'
import { type Edge, edgesOf, type Route, routesOf } from './edges.ts'
import { type Machine, machinesOf } from './machines.ts'
import { type Module, moduleOf } from './modules.ts'
import { type OutlineItem, outlineOf } from './outline.ts'
import { at, list, type Name, namesIn } from './references.ts'
import type { Problem, Source } from './source.ts'

export interface Model {
  source: Source
  /** Why the text can be edited as text only, in one sentence, or `null`. */
  readOnly: string | null
  problems: Problem[]
  modules: Module[]
  /** Every name that the text gives or uses. */
  names: Name[]
  edges: Edge[]
  machines: Machine[]
  routes: Route[]
  outline: OutlineItem[]
}

const models = new WeakMap<Source, Model>()

/** What a text says. The same text again costs nothing. */
export function lens(text: string): Model {
  const source = sourceOf(text)
  let model = models.get(source)
  if (!model) {
    model = modelOf(source)
    models.set(source, model)
  }
  return model
}

function modelOf(source: Source): Model {
  const config = source.value
  const names = namesIn(config)
  const modules = list(at(config, 'modules')).map((module, index) => moduleOf(source, module, index))
  const [machines, routes] = [machinesOf(config, names), routesOf(config)]
  return {
    source,
    readOnly: source.readOnly,
    problems: source.problems,
    modules,
    names,
    edges: edgesOf(config, names),
    machines,
    routes,
    outline: outlineOf(config, modules, machines, routes),
  }
}

/** The module of that name. */
export function moduleNamed(model: Model, name: string): Module | undefined {
  return model.modules.find((module) => module.name === name)
}

/** The machine of that name. */
export function machineNamed(model: Model, name: string): Machine | undefined {
  return model.machines.find((machine) => machine.name === name)
}

/** Every place that names this module, and does not give it the name. */
export function usesOf(model: Model, module: string): Name[] {
  return model.names.filter(({ kind, name, place }) => kind === 'module' && name === module && !place.defines)
}
