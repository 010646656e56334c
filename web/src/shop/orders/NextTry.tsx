/** What the store will try by itself, and how long that is away. */
import './NextTry.css'
import { useEffect, useState } from 'react'
import type { Wait } from '../api/resources'

interface Props {
  wait: Wait
  /** When it began to wait, by the store's clock: a browser whose clock is wrong tells no longer wait than that. */
  since: string
}

export function NextTry({ wait: { at, attempt, of }, since }: Props) {
  const ms = Math.min(Date.parse(at) - useNow(), Date.parse(at) - Date.parse(since))
  const seconds = Math.max(Math.ceil(ms / 1000), 0)
  const left = of === undefined ? '' : `, ${Math.max(of - attempt + 1, 1)} of ${of} left`
  return <p className="next-try">{`Next try ${seconds > 0 ? `in ${inWords(seconds)}` : 'now'}${left}.`}</p>
}

function inWords(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

/** The time, anew each second. */
function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}
