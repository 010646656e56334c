/** The same processes in words: how each is, what it runs, and whom it asks. */
import { Badge } from '../../../shared/desk/ui/Badge'
import type { Container, Installation } from '../../containers.ts'
import { short } from '../../operator/words'
import { healthOf } from './ProcessesView.tsx'

interface Props {
  installation: Installation
  onOpen: (container: Container) => void
}

const MOODS: Readonly<Record<string, 'good' | 'warn' | 'bad'>> = { healthy: 'good', degraded: 'warn' }

export function ProcessesTable({ installation: { containers, traffic }, onOpen }: Props) {
  const nameOf = (id: string) => containers.find((one) => one.id === id)?.name ?? id
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keys
    <section className="processes-table" aria-label="Table of processes" tabIndex={0}>
      <table>
        <caption className="sr-only">Processes, how each is, what it runs and whom it asks</caption>
        <thead>
          <tr>
            <th scope="col">Process</th>
            <th scope="col">Health</th>
            <th scope="col">Config</th>
            <th scope="col">Modules</th>
            <th scope="col">Asks</th>
          </tr>
        </thead>
        <tbody>
          {containers.map((container) => (
            <tr key={container.id}>
              <th scope="row">
                {container.config === null ? (
                  container.name
                ) : (
                  <button type="button" className="text-button" onClick={() => onOpen(container)}>
                    {container.name}
                  </button>
                )}
                {container.address && <small>{container.address}</small>}
              </th>
              <td>
                {container.health === null ? (
                  healthOf(container)
                ) : (
                  <Badge mood={MOODS[container.health] ?? 'bad'}>{healthOf(container)}</Badge>
                )}
                {container.problems.map((problem) => (
                  <small key={problem}>{problem}</small>
                ))}
              </td>
              <td>
                {container.digest ? <code title={container.digest}>{short(container.digest)}</code> : 'not told'}
                {container.compared && <small>{container.compared}</small>}
              </td>
              <td>{container.silent ? 'not told' : container.modules.length}</td>
              <td>
                {traffic
                  .filter(({ from }) => from === container.id)
                  .map(({ to, what }) => (
                    <small key={to}>
                      {nameOf(to)}: {what.join(', ')}
                    </small>
                  ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
