/**
 * What is open outlives the page: each config is kept in this browser as a draft. A draft belongs to one tab of the browser at a time,
 * which holds a lock for it, so that two tabs never write over each other. What no tab holds is taken up by the next that opens.
 */
import { createStore, del, entries, set } from 'idb-keyval'
import { buffer, type OpenConfig, restore, useEditor } from './documents.ts'

interface Draft {
  name: string
  text: string
  saved: string
}

const KEPT = createStore('millrace-editor', 'drafts')
const PAUSE_MS = 250
const lockOf = (id: string) => `millrace-editor:${id}`

/** Takes up what was open, and keeps what is open from then on. */
export async function keepDrafts(): Promise<void> {
  const kept = await entries<string, Draft>(KEPT).catch((): [string, Draft][] => [])
  const own: (Draft & { id: string })[] = []
  for (const [id, draft] of kept) if (await hold(id)) own.push({ id, ...draft })
  const { configs } = useEditor.getState()
  const isUntouched = configs.every(({ text, dirty }) => text === '' && !dirty)
  if (isUntouched) restore(own)
  let before: readonly OpenConfig[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const keep = () => {
    const { configs: now } = useEditor.getState()
    for (const config of now) if (!before.includes(config)) void write(config)
    for (const { id } of before) if (!now.some((config) => config.id === id)) void forget(id)
    before = now
  }
  useEditor.subscribe(({ configs: now }) => {
    if (now === before) return
    clearTimeout(timer)
    timer = setTimeout(keep, PAUSE_MS)
  })
  addEventListener('pagehide', keep)
  keep()
}

const held = new Map<string, () => void>()

/** Whether this tab has the draft from now on. Where a browser has no locks, the first tab that comes takes it. */
function hold(id: string): Promise<boolean> {
  if (held.has(id) || !navigator.locks) return Promise.resolve(true)
  return new Promise((resolve) => {
    void navigator.locks.request(lockOf(id), { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      return lock && new Promise<void>((end) => held.set(id, end))
    })
  })
}

async function write({ id, name, text }: OpenConfig): Promise<void> {
  await hold(id)
  const { saved } = buffer(id)
  // Nothing was written there yet: nothing to come back to.
  if (text === '' && saved === '') await del(id, KEPT).catch(() => undefined)
  else await set(id, { name, text, saved } satisfies Draft, KEPT).catch(() => undefined)
}

async function forget(id: string): Promise<void> {
  held.get(id)?.()
  held.delete(id)
  await del(id, KEPT).catch(() => undefined)
}
