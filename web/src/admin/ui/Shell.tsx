/** Around every page of who is signed in: the menu, whose account it is, and a word before the session ends. */
import './Shell.css'
import { type ReactNode, useEffect, useState } from 'react'
import { Link, navigate, usePath } from '../../shared/router'
import { Icon } from '../../shared/ui/Icon'
import { Mark } from '../../shared/ui/Mark'
import { ThemeButton } from '../../shared/ui/ThemeButton'
import { toast } from '../../shared/ui/toasts'
import { entryOf, menuFor } from '../menu'
import { useRenewal } from '../renew'
import * as session from '../session'
import { Sign } from './Sign'

export function Shell({ children }: { children: ReactNode }) {
  const [isOpen, setOpen] = useState(false)
  const path = usePath()
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
    <div className="admin admin-shell" data-menu={isOpen ? 'open' : 'closed'}>
      <button type="button" className="skip-link" onClick={() => document.getElementById('main')?.focus()}>
        Skip to content
      </button>
      <header className="admin-bar">
        <Link to="/" className="admin-name" aria-label="Millrace admin, overview">
          <Mark />
          <span aria-hidden="true">millrace admin</span>
        </Link>
        <button
          type="button"
          className="admin-menu-button"
          aria-expanded={isOpen}
          aria-controls="admin-menu"
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? <Icon name="close" /> : <Sign name="list" />}
          Menu
        </button>
        <div className="admin-menu" id="admin-menu">
          <Ways />
          <Who />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Ending />
        {children}
      </main>
    </div>
  )
}

function Ways() {
  const path = usePath()
  const { roles } = session.useClaims()
  const here = path === '/' ? '/' : entryOf(path)?.path
  return (
    <nav aria-label="Main">
      <ul className="admin-ways">
        {menuFor(roles).map((entry) => (
          <li key={entry.path}>
            <Link to={entry.path} aria-current={entry.path === here ? 'page' : undefined}>
              <Sign name={entry.icon} />
              {entry.name}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Who() {
  const { roles } = session.useClaims()
  const path = usePath()
  const user = session.useSession()?.user
  return (
    <div className="admin-who">
      <Link to="/account" className="admin-person" aria-current={path === '/account' ? 'page' : undefined}>
        <b>{user?.name}</b>
        <span>{roles.length > 0 ? roles.join(', ') : 'no role'}</span>
      </Link>
      <div className="admin-who-ways">
        <ThemeButton />
        <button type="button" className="admin-sign-out" onClick={signOut}>
          Sign out
        </button>
      </div>
    </div>
  )
}

function signOut() {
  session.end()
  navigate('/login')
  toast('info', 'You are signed out')
}

/** Who only reads for a while is asked before they are signed out. */
function Ending() {
  const { left, stay } = useRenewal()
  return (
    <div role="status">
      {left !== undefined && (
        <p className="admin-ending">
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
