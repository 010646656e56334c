/**
 * What is open outlives the page: each config is kept in this browser as a draft. A draft belongs to one tab of the browser at a time,
 * which holds a lock for it, so that two tabs never write over each other. What no tab holds is taken up by the next that opens.
 */
import { createStore, del, entries, set } from 'idb-keyval'
import { type Base, buffer, type OpenConfig, restore, useEditor } from './documents.ts'

interface Draft {
  name: string
  text: string
  saved: string
  base?: Base | null
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
    try {
      remember(now)
      await Promise.all([...changed.map(write), ...gone.map(({ id }) => forget(id))])
    } finally {
      // Whatever failed, the next change is kept again.
      writing = false
    }
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

/** Whether this tab has the draft from now on. */
function hold(id: string, isOwn = false): Promise<boolean> {
  if (held.has(id)) return Promise.resolve(true)
  if (!navigator.locks) return Promise.resolve(lease(id))
  const how = isOwn ? { signal: AbortSignal.timeout(HANDOVER_MS) } : { ifAvailable: true }
  return new Promise((resolve) => {
    const keep = (lock: Lock | null) => {
      resolve(lock !== null)
      return lock && new Promise<void>((end) => held.set(id, end))
    }
    navigator.locks.request(lockOf(id), how, keep).catch(() => resolve(false))
  })
}

/**
 * Where a browser has no locks, as at an address that is not encrypted: a page writes down that it has the draft, and does so again and again. It
 * gives that up when it is left. What nobody has written down for a while was left by a page that could not.
 */
const LEASE = 'millrace-editor-held:'
const RENEWED_MS = 5_000
/** A browser lets a page that is not seen do something once a minute. */
const ABANDONED_MS = 90_000
const page = [...crypto.getRandomValues(new Uint8Array(8))].join('-')

function lease(id: string): boolean {
  try {
    const [by, at] = (localStorage.getItem(LEASE + id) ?? '').split(' ')
    if (by && by !== page && Date.now() - Number(at) < ABANDONED_MS) return false
    const write = () => localStorage.setItem(LEASE + id, `${page} ${Date.now()}`)
    write()
    const renewing = setInterval(write, RENEWED_MS)
    const end = () => {
      clearInterval(renewing)
      removeEventListener('pagehide', end)
      localStorage.removeItem(LEASE + id)
    }
    addEventListener('pagehide', end)
    held.set(id, end)
    return true
  } catch {
    // Without storage there are no drafts to come back to.
    return true
  }
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

async function write({ id, name, text, base }: OpenConfig): Promise<void> {
  await hold(id)
  const { saved } = buffer(id)
  // Nothing was written there yet: nothing to come back to.
  if (text === '' && saved === '') await del(id, KEPT).catch(() => undefined)
  else await set(id, { name, text, saved, base } satisfies Draft, KEPT).catch(() => undefined)
}

async function forget(id: string): Promise<void> {
  held.get(id)?.()
  held.delete(id)
  await del(id, KEPT).catch(() => undefined)
}
