/** What the process behind the page does with a machine now: how many instances are under way, and which of its states this config does not have. */
import './Counts.css'
import { Link, withQuery } from '../../../shared/router'
import type { Machine } from '../../machines.ts'
import { useLive } from '../../operator/live'
import { span } from '../../operator/words'

/** `selected`: the state that is selected. */
export function Counts({ machine, selected }: { machine: Machine; selected: string | null }) {
  const { live, link } = useLive()
  const counts = live?.workflows[machine.name]
  if (!counts) return null
  const known = new Set(machine.states.map(({ name }) => name))
  const strange = Object.entries(counts.states).filter(([name, count]) => count > 0 && !known.has(name))
  const here = selected === null ? 0 : (counts.states[selected] ?? 0)
  return (
    <p className="machine-counts">
      <span className="machine-counts-dot" data-link={link} />
      {link === 'lost' && 'Last known: '}
      <Link to={withQuery('/instances', { workflow: machine.name, finished: 'false' })}>
        {counts.unfinished} under way
      </Link>
      {counts.oldestSeconds !== null && counts.unfinished > 0 && `, the oldest for ${span(counts.oldestSeconds)}`}
      {selected !== null && here > 0 && (
        <>
          {'; '}
          <Link to={withQuery('/instances', { workflow: machine.name, state: selected })}>
            {here} in {selected}
          </Link>
        </>
      )}
      {strange.length > 0 &&
        `; in states that are not here: ${strange.map(([name, count]) => `${count} in ${name}`).join(', ')}`}
    </p>
  )
}
