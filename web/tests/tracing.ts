/** What a page computes while something is done, by the browser's own trace: time of a processor, whatever else the machine does. */
import type { Browser, Page } from '@playwright/test'

/** Sixty frames a second. */
export const FRAME_MS = 1_000 / 60

interface TraceEvent {
  name: string
  ph: string
  pid: number
  tid: number
  /** Microseconds: when, and how long on a processor, whatever else the machine does. */
  ts: number
  tdur?: number
  args?: { name?: string }
}

/** Milliseconds that the page has computed for each frame of what is done meanwhile, the least first. */
export async function frames(browser: Browser, page: Page, what: () => Promise<void>): Promise<number[]> {
  await browser.startTracing(page, {
    categories: ['devtools.timeline', 'disabled-by-default-devtools.timeline', '__metadata'],
  })
  await what()
  const { traceEvents: events } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] }
  const begun = events.filter(({ name }) => name === 'BeginCommitCompositorFrame')
  // Other pages, and the browser's own, have threads of their own, on which less happens.
  const threads = new Map<string, TraceEvent[]>()
  for (const event of begun) {
    const of = `${event.pid} ${event.tid}`
    threads.set(of, [...(threads.get(of) ?? []), event])
  }
  const [thread, starts = []] = [...threads].sort(([, one], [, other]) => other.length - one.length)[0] ?? []
  const times = starts.map(({ ts }) => ts).sort((one, other) => one - other)
  const spent = times.map(() => 0)
  for (const { name, ph, pid, tid, ts, tdur } of events) {
    if (ph !== 'X' || tdur === undefined || `${pid} ${tid}` !== thread || name !== 'RunTask') continue
    const frame = times.findLastIndex((start) => start <= ts)
    if (frame >= 0) spent[frame] = (spent[frame] ?? 0) + tdur / 1000
  }
  return spent.sort((one, other) => one - other)
}
