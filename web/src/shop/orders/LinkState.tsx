/** How new what the page shows is. */
import './LinkState.css'
import { time } from '../../shared/format'
import type { Link } from './follow'

export function LinkState({ link, seenAt }: { link: Link; seenAt: number }) {
  return (
    <p className="link-state" data-link={link}>
      {words(link, new Date(seenAt).toISOString())}
    </p>
  )
}

function words(link: Link, seenAt: string): string {
  switch (link) {
    case 'live':
      return 'Live'
    case 'connecting':
      return 'Connecting…'
    case 'shared':
      return 'Looking every five seconds; another tab is live'
    case 'broken':
      return 'Reconnecting; looking every two seconds meanwhile'
    case 'offline':
      return `You are offline. This is how it was at ${time(seenAt)}`
  }
}
