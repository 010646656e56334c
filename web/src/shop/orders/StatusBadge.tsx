/** An order's state as a word. */
import './StatusBadge.css'
import { stateName } from '../../shared/format'

type Mood = 'good' | 'bad' | 'moving' | 'ended'

const MOODS: Record<string, Mood> = {
  delivered: 'good',
  failed: 'bad',
  payment_failed: 'bad',
  ship_failed: 'bad',
  cancelled: 'ended',
}

/** `isLive`: a change of it is read out. */
export function StatusBadge({ state, isLive = false }: { state: string; isLive?: boolean }) {
  return (
    <span
      role={isLive ? 'status' : undefined}
      className="order-status"
      data-mood={MOODS[state] ?? 'moving'}
      data-state={state}
    >
      {stateName(state)}
    </span>
  )
}
