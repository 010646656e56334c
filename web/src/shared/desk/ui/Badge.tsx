/** A state as a word; the colour repeats what the word says. */
import './Badge.css'

export type Mood = 'good' | 'bad' | 'moving' | 'calm' | 'warn'

export function Badge({ mood, children }: { mood: Mood; children: string }) {
  return (
    <span className="badge" data-mood={mood}>
      {children}
    </span>
  )
}

const ORDER_MOODS: Readonly<Record<string, Mood>> = {
  delivered: 'good',
  refunded: 'good',
  closed: 'good',
  failed: 'bad',
  refused: 'bad',
  payment_failed: 'bad',
  ship_failed: 'bad',
  refund_failed: 'bad',
  cancelled: 'calm',
}

/** Of an order, or of a refund. */
export function StateBadge({ state }: { state: string }) {
  return <Badge mood={ORDER_MOODS[state] ?? 'moving'}>{state.replaceAll('_', ' ')}</Badge>
}
