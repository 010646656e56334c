/** What is drawn: the modules of the config, or one of its machines. */
import './Views.css'
import { Link } from '../../shared/router'
import { useModel } from './documents.ts'
import { machinePath } from './machine/address.ts'

export function Views({ machine }: { machine: string | undefined }) {
  const { machines } = useModel()
  if (machines.length === 0 && machine === undefined) return null
  const names = machines.map(({ name }) => name).filter(Boolean)
  return (
    <nav className="drawings" aria-label="Drawings">
      <Link to="/" aria-current={machine === undefined ? 'page' : undefined}>
        Modules
      </Link>
      {names.map((name) => (
        <Link key={name} to={machinePath(name)} aria-current={name === machine ? 'page' : undefined}>
          {name}
        </Link>
      ))}
    </nav>
  )
}
