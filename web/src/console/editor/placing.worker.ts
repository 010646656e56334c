/** Works out a drawing aside, so that a large one does not hold up the page. */
import { type Graph, placed } from './placing.ts'

self.onmessage = ({ data }: MessageEvent<{ id: number; graph: Graph }>) => {
  self.postMessage({ id: data.id, places: placed(data.graph) })
}
