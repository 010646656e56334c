/** A moment in a table: its time, and its day below. */
import { exactTime, fullDate } from '../../format'

export function When({ at }: { at: string }) {
  return (
    <time dateTime={at}>
      {exactTime(at)}
      <span className="table-sub">{fullDate(at)}</span>
    </time>
  )
}
