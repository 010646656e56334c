/** Takes back what a line between two modules says, wherever that is written. */
import { type Change, change } from './commands.ts'
import type { Edge } from './edges.ts'
import type { Model } from './lens.ts'
import { at, list } from './references.ts'
import type { Path } from './source.ts'

/** Takes an edge away: the entry, the key or the items of lists that make it. A list of which nothing would be left goes with its last item. */
export function disconnect(model: Model, edge: Edge): Change {
  const byParent = new Map<string, Path[]>()
  for (const path of edge.paths.map(meant)) {
    const key = JSON.stringify(path.slice(0, -1))
    byParent.set(key, [...(byParent.get(key) ?? []), path])
  }
  return change(model, `Disconnect ${edge.from} and ${edge.to}`, (draft) => {
    for (const [key, paths] of byParent) {
      const parent: Path = JSON.parse(key)
      const goes = list(at(model.source.value, ...parent)).length === paths.length
      for (const path of goes ? [parent] : paths) draft.remove(path)
    }
  })
}

/** A grant is an entry, of which the handler that it names is one key. */
function meant(path: Path): Path {
  return path.includes('capabilities') && path.at(-1) === 'handler' ? path.slice(0, -1) : path
}
