/**
 * One at a time among all tabs of a browser. A browser opens six connections to a server and no more (HTTP/1.1): whatever keeps one
 * open for long must not be done by every tab.
 */

interface Turn {
  /** Begins when it is this tab's turn, which lasts until `signal`. */
  work: () => void
  /** Another tab has it; `work` begins when that tab lets go of it. */
  wait: () => void
}

export function inTurn(name: string, signal: AbortSignal, turn: Turn) {
  // Only pages that came by HTTPS, or from this machine, have locks. The others share by being seen or not.
  if (!('locks' in navigator)) return turn.work()
  void taken(name, signal, turn).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}

/** Runs `work` while no other tab runs what has the same name. */
export function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  return 'locks' in navigator ? navigator.locks.request(name, work) : work()
}

async function taken(name: string, signal: AbortSignal, { work, wait }: Turn) {
  const over = new Promise<void>((done) => signal.addEventListener('abort', () => done()))
  const hold = async (lock: Lock | null) => {
    if (!lock) return false
    if (!signal.aborted) {
      work()
      await over
    }
    return true
  }
  if (await navigator.locks.request(name, { ifAvailable: true }, hold)) return
  if (signal.aborted) return
  wait()
  await navigator.locks.request(name, { signal }, hold)
}
