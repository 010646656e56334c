/** A state as a word. What its colour says, other words say too. */
import './State.css'
import { Badge, type Mood } from '../../../shared/desk/ui/Badge'
import { stateName } from '../../../shared/format'

interface Props {
  row: { state: string; final?: boolean; attention?: string | null; held?: unknown }
}

export function State({ row: { state, final, attention, held } }: Props) {
  const isBad = /fail|refus|reject|declin|cancel/.test(state)
  const mood: Mood = isBad ? (final ? 'calm' : 'bad') : final ? 'good' : 'moving'
  return (
    <span className="state-words">
      <Badge mood={mood}>{stateName(state)}</Badge>
      {attention && <Badge mood="warn">needs a person</Badge>}
      {Boolean(held) && <Badge mood="calm">held</Badge>}
    </span>
  )
}
