/**
 * A session goes on while somebody works, and ends when nobody does: the token is renewed in good time if there was a key or a pointer
 * since the last one. Before it ends unused, the page says so while there is time left to stay.
 */
import { useEffect, useState } from 'react'
import { ApiError } from '../api/errors'
import * as account from './api/account'
import * as session from './session'

const SIGNS = ['pointerdown', 'keydown', 'wheel', 'touchmove'] as const
const LOOK_MS = 5_000
/** What is left of a token when it is said that it ends. */
const WARN_MS = 120_000

export type Due = 'nothing' | 'renew' | 'warn' | 'over'

/** What is due now; `active` is when there was the last sign of somebody. All times in milliseconds of the epoch. */
export function due({ until, since }: Pick<session.Claims, 'until' | 'since'>, active: number, now: number): Due {
  if (until === undefined) return 'nothing'
  if (now >= until) return 'over'
  // Of a token whose beginning is not told, the last quarter of an hour counts.
  const half = until - Math.min(until - (since ?? until - 900_000), 900_000) / 2
  const begun = since ?? half
  if (now >= half && active > begun) return 'renew'
  return until - now <= WARN_MS ? 'warn' : 'nothing'
}

/** Seconds until the session ends, when that is soon and nobody seems to be there. */
export function useRenewal(): { left: number | undefined; stay: () => void } {
  const [left, setLeft] = useState<number>()
  const token = session.useSession()?.token
  useEffect(() => {
    if (!token) return setLeft(undefined)
    const watch = watching(token, setLeft)
    return watch
  }, [token])
  return { left, stay: () => void renew() }
}

function watching(token: string, tell: (left: number | undefined) => void): () => void {
  const said = session.claims(token)
  let active = 0
  let isRenewing = false
  const sign = () => {
    active = Date.now()
  }
  const look = async () => {
    const what = due(said, active, Date.now())
    if (what === 'over') return session.expire()
    tell(what === 'warn' && said.until ? Math.ceil((said.until - Date.now()) / 1000) : undefined)
    if (what !== 'renew' || isRenewing) return
    isRenewing = true
    await renew()
    isRenewing = false
  }
  const timer = setInterval(() => void look(), LOOK_MS)
  for (const name of SIGNS) window.addEventListener(name, sign, { passive: true })
  void look()
  return () => {
    clearInterval(timer)
    for (const name of SIGNS) window.removeEventListener(name, sign)
  }
}

/** Without an answer the old token is used on, and it is tried again. */
async function renew() {
  const before = session.get()?.token
  try {
    const token = await account.renew()
    // A token that has become another meanwhile is the newer one.
    if (session.get()?.token === before) session.renewed(token)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
  }
}
