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
const lockOf = (id: string) => `millrace-editor:${id}`

/** Takes up what was open, and keeps what is open from then on. */
export async function keepDrafts(): Promise<void> {
  restore(await takenUp())
  let before: readonly OpenConfig[] = []
  let writing = false
  const keep = async () => {
    const { configs: now } = useEditor.getState()
    if (writing || now === before) return
    const [changed, gone] = [now.filter((one) => !before.includes(one)), before.filter(({ id }) => !has(now, id))]
    before = now
    writing = true
    remember(now)
    await Promise.all([...changed.map(write), ...gone.map(({ id }) => forget(id))])
    writing = false
    void keep()
  }
  useEditor.subscribe(() => void keep())
  void keep()
}

function has(configs: readonly OpenConfig[], id: string): boolean {
  return configs.some((config) => config.id === id)
}

/** The drafts that this tab had before it was loaded again, or else those that no tab has. */
async function takenUp(): Promise<(Draft & { id: string })[]> {
  const kept = await entries<string, Draft>(KEPT).catch((): [string, Draft][] => [])
  const before = remembered()
  const own: (Draft & { id: string })[] = []
  for (const [id, draft] of kept) if (await hold(id, before.includes(id))) own.push({ id, ...draft })
  // Something was made already, before the drafts were there.
  const isUntouched = useEditor.getState().configs.every(({ text, dirty }) => text === '' && !dirty)
  return isUntouched ? own : []
}

const held = new Map<string, () => void>()
/** A page that is left lets go of its locks a moment after the next one begins. */
const HANDOVER_MS = 2_000

/** Whether this tab has the draft from now on. Where a browser has no locks, the first tab that comes takes it. */
function hold(id: string, isOwn = false): Promise<boolean> {
  if (held.has(id) || !navigator.locks) return Promise.resolve(true)
  const how = isOwn ? { signal: AbortSignal.timeout(HANDOVER_MS) } : { ifAvailable: true }
  return new Promise((resolve) => {
    const keep = (lock: Lock | null) => {
      resolve(lock !== null)
      return lock && new Promise<void>((end) => held.set(id, end))
    }
    navigator.locks.request(lockOf(id), how, keep).catch(() => resolve(false))
  })
}

const TAB = 'millrace-editor-drafts'

/** What this tab of the browser has open, for when it is loaded again. */
function remember(configs: readonly OpenConfig[]): void {
  try {
    sessionStorage.setItem(TAB, configs.map(({ id }) => id).join(' '))
  } catch {
    // Storage may be forbidden or full.
  }
}

function remembered(): readonly string[] {
  try {
    return sessionStorage.getItem(TAB)?.split(' ') ?? []
  } catch {
    return []
  }
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
