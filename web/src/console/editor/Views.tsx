/** What is drawn: the modules of the config, one of its machines, or the processes of the installation. */
import './Views.css'
import { Link } from '../../shared/router'
import { useModel } from './documents.ts'
import { machinePath } from './machine/address.ts'

export function Views({ machine, hasProcesses }: { machine: string | undefined; hasProcesses: boolean }) {
  const { machines } = useModel()
  if (machines.length === 0 && machine === undefined && !hasProcesses) return null
  const names = machines.map(({ name }) => name).filter(Boolean)
  return (
    <nav className="drawings" aria-label="Drawings">
      <Link to="/" aria-current={machine === undefined && !hasProcesses ? 'page' : undefined}>
        Modules
      </Link>
      {names.map((name) => (
        <Link key={name} to={machinePath(name)} aria-current={name === machine ? 'page' : undefined}>
          {name}
        </Link>
      ))}
      <Link to="/processes" aria-current={hasProcesses ? 'page' : undefined}>
        Processes
      </Link>
    </nav>
  )
}
