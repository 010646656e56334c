/** Every transition that was made, for those who want to know. In the page only while it is open, so that words stand once. */
import './History.css'
import { useState } from 'react'
import { useAction } from '../../shared/answers'
import { exactTime, stateName } from '../../shared/format'
import { More } from '../../shared/ui/More'
import * as api from '../api/client'
import type { Order, Transition } from '../api/resources'
import { keepOrder } from '../queries'

export function History({ order: { id, history, historyNext } }: { order: Order }) {
  const [isOpen, setOpen] = useState(false)
  const earlier = useAction(() => api.order(id, null, historyNext), { onSuccess: keepOrder })
  if (history.length === 0) return null
  return (
    <details className="history" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Everything that happened</summary>
      {isOpen && historyNext !== undefined && <More action={earlier}>Show what was before</More>}
      {isOpen && (
        <ol>
          {history.map((entry) => (
            <li key={entry.seq}>
              <time dateTime={entry.at}>{exactTime(entry.at)}</time>
              <span>
                <b>{stateName(entry.to)}</b> {why(entry)}
              </span>
            </li>
          ))}
        </ol>
      )}
    </details>
  )
}

function why({ transition, component, digest, attempt, reason }: Transition): string {
  const by = component ? `, ${component} ${digest?.slice(0, 8) ?? ''}, attempt ${attempt ?? 1}` : ''
  return `${stateName(transition)}${by}${reason ? `: ${reason}` : ''}`
}
