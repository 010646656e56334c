/** An order's state as a word. */
import { stateName } from '../format'

type Mood = 'good' | 'bad' | 'moving' | 'ended'

const MOODS: Record<string, Mood> = {
  delivered: 'good',
  failed: 'bad',
  payment_failed: 'bad',
  ship_failed: 'bad',
  cancelled: 'ended',
}

export function StatusBadge({ state }: { state: string }) {
  return (
    <span className="order-status" data-mood={MOODS[state] ?? 'moving'} data-state={state}>
      {stateName(state)}
    </span>
  )
}
