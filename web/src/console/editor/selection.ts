/** What is selected, seen as a place of the text, and the other way round. */
import { isMap, isSeq } from 'yaml'
import type { Model } from '../lens.ts'
import type { Path, Range } from '../source.ts'
import type { Selection } from './documents.ts'

/** The path of the innermost entry that a position is in. */
export function pathAt({ source }: Model, at: number): Path {
  const path: (string | number)[] = []
  let node = source.root
  while (isMap(node) || isSeq(node)) {
    const entry = source.entries(node).find(({ from, to }) => from <= at && at <= to)
    if (!entry) break
    path.push(entry.key ? String(entry.key.value) : entry.index)
    node = entry.value
  }
  return path
}

/** The path of what is selected, or `null`. */
export function selectedPath({ modules, edges }: Model, selection: Selection): Path | null {
  if (selection.path) return selection.path
  const module = modules.find(({ name }) => name === selection.modules[0])
  if (module) return module.path
  return edges.find(({ id }) => id === selection.edge)?.paths[0] ?? null
}

/** The part of the text that is selected. */
export function selectedRange(model: Model, selection: Selection): Range | null {
  const path = selectedPath(model, selection)
  const entry = path && path.length > 0 ? model.source.entry(path) : null
  return entry && { from: entry.from, to: entry.to }
}

/** What is selected when the text's cursor is at this place: the module that it is in, or what else has a form. */
export function selectionAt(model: Model, at: number): Partial<Selection> {
  const path = pathAt(model, at)
  if (path[0] === 'modules' && path.length > 1) {
    const name = model.modules[Number(path[1])]?.name
    return name ? { modules: [name] } : {}
  }
  const told = outlined(model, path)
  return told ? { path: told } : {}
}

/** The innermost thing of the outline that this path is in. */
function outlined({ outline }: Model, path: Path): Path | null {
  let found: Path | null = null
  const look = (items: Model['outline']): void => {
    for (const item of items) {
      const own = item.path
      if (own?.every((step, index) => String(step) === String(path[index]))) found = own
      look(item.children)
    }
  }
  look(outline)
  return found
}
