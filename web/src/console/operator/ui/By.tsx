/** What is said of a stay in a state, in each way of showing a history. */
import { duration } from '../../../shared/format'
import { Link, withQuery } from '../../../shared/router'
import type { Stage } from '../api'
import { short } from '../words'

export const keyOf = ({ state, enteredAt, transition }: Stage) => `${state} ${enteredAt} ${transition}`

/** How long a stay was. */
export function lasted({ enteredAt, leftAt }: Stage, isFinal: boolean): string {
  if (!leftAt) return isFinal ? 'the end' : 'now'
  return duration(Date.parse(leftAt) - Date.parse(enteredAt))
}

/** Who ended a stay, with the version. */
export function By({ stage: { component, digest, attempts } }: { stage: Stage }) {
  if (!component) return null
  return (
    <>
      <Link to={`/components/${encodeURIComponent(component)}`}>{component}</Link>
      {digest && (
        <Link to={withQuery('/instances', { digest: digest.slice(0, 12) })} title={`Moved by ${digest}`}>
          <code>{short(digest)}</code>
        </Link>
      )}
      {attempts !== null && attempts > 1 && <span>{attempts} attempts</span>}
    </>
  )
}
