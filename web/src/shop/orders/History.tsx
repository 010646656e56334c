/** Every transition that was made, for those who want to know. In the page only while it is open, so that words stand once. */
import { useState } from 'react'
import type { Transition } from '../api/resources'
import { exactTime, stateName } from '../format'

export function History({ entries }: { entries: Transition[] }) {
  const [isOpen, setOpen] = useState(false)
  if (entries.length === 0) return null
  return (
    <details className="history" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Everything that happened</summary>
      {isOpen && (entries[0]?.seq ?? 1) > 1 && <p className="history-cut">What was before is not shown.</p>}
      {isOpen && (
        <ol>
          {entries.map((entry) => (
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
