/** One key for one purchase: when an answer is lost on the way, sending the same again does not buy twice. */

const KEPT = 'purchase'

// Where storage is forbidden the page remembers.
let memory: string | null = null

/** The key of `purchase`; another purchase gets another one. It survives a reload. */
export function keyFor(purchase: unknown): string {
  const body = JSON.stringify(purchase)
  const kept = load()
  if (kept?.body === body) return kept.key
  const key = randomKey()
  save(JSON.stringify({ body, key }))
  return key
}

/** The purchase was answered: the next one is another, even if it looks the same. */
export function settled() {
  memory = null
  try {
    sessionStorage.removeItem(KEPT)
  } catch {
    // Nothing was kept there.
  }
}

function load(): { body: string; key: string } | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? memory ?? 'null') ?? undefined
  } catch {
    return undefined
  }
}

function save(text: string) {
  memory = text
  try {
    sessionStorage.setItem(KEPT, text)
  } catch {
    // See above.
  }
}

/** `crypto.randomUUID` exists only on secure origins, and a store in a local network is none. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
