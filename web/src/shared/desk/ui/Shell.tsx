/** Around every page for those who work here: the menu, who it is, and a word before a session ends. */
import './Shell.css'
import { type ReactNode, useEffect, useState } from 'react'
import { Link, usePath } from '../../router'
import { Icon } from '../../ui/Icon'
import { useKeptFocus } from '../../ui/keptFocus'
import { Mark } from '../../ui/Mark'
import { useRenewal } from '../renew'
import { Sign, type SignName } from './Sign'

/** A page of the menu. */
export interface Way {
  path: string
  name: string
  icon: SignName
  /** How many things wait there for somebody. */
  count?: number | undefined
}

interface Props {
  /** What the application is called. */
  name: string
  ways: readonly Way[]
  /** Path of the entry that the page lies below. */
  here: string | undefined
  /** Who works here, and how to leave. */
  who: ReactNode
  children: ReactNode
}

export function Shell({ name, ways, here, who, children }: Props) {
  const [isOpen, setOpen] = useState(false)
  const path = usePath()
  useKeptFocus()
  // A page that was chosen lies under the menu of a phone.
  // biome-ignore lint/correctness/useExhaustiveDependencies: each path closes it
  useEffect(() => setOpen(false), [path])
  useEffect(() => {
    const close = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setOpen(false)
    }
    window.addEventListener('keydown', close)
    return () => window.removeEventListener('keydown', close)
  }, [])
  return (
    <div className="desk desk-shell" data-menu={isOpen ? 'open' : 'closed'}>
      <button type="button" className="skip-link" onClick={() => document.getElementById('main')?.focus()}>
        Skip to content
      </button>
      <header className="desk-bar">
        <Link to="/" className="wordmark desk-name" aria-label={`${name}, first page`}>
          <Mark />
          <span aria-hidden="true">{name.toLowerCase()}</span>
        </Link>
        <button
          type="button"
          className="desk-menu-button"
          aria-expanded={isOpen}
          aria-controls="desk-menu"
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? <Icon name="close" /> : <Sign name="list" />}
          Menu
        </button>
        <div className="desk-menu" id="desk-menu">
          <Ways ways={ways} here={here} />
          <div className="desk-who">{who}</div>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Ending />
        {children}
      </main>
    </div>
  )
}

function Ways({ ways, here }: Pick<Props, 'ways' | 'here'>) {
  return (
    <nav aria-label="Main">
      <ul className="desk-ways">
        {ways.map(({ path, name, icon, count }) => (
          <li key={path}>
            <Link to={path} className="nav-way" aria-current={path === here ? 'page' : undefined}>
              <Sign name={icon} />
              {name}
              {count !== undefined && count > 0 && <b className="desk-count">{count}</b>}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

/** Who only reads for a while is asked before they are signed out. */
function Ending() {
  const { left, stay } = useRenewal()
  return (
    <div role="status">
      {left !== undefined && (
        <p className="desk-ending">
          <span>
            You will be signed out in {left > 60 ? 'two minutes' : 'a minute'}, since nothing was done for a while.
          </span>
          <button type="button" className="button" onClick={stay}>
            Stay signed in
          </button>
        </p>
      )}
    </div>
  )
}
