/** The name of the store, the ways through it, and the theme. On a phone the ways lie at the bottom, within a thumb's reach. */
import './Header.css'
import { Link, usePath } from '../../shared/router'
import { useToken } from '../../shared/session'
import { Icon, type IconName } from '../../shared/ui/Icon'
import { Mark } from '../../shared/ui/Mark'
import { ThemeButton } from '../../shared/ui/ThemeButton'
import { count, useCart } from '../cart'

export function Header() {
  const units = count(useCart())
  const isLoggedIn = useToken() !== null
  return (
    <header className="site-header">
      <div className="site-header-inner">
        <Link to="/" className="wordmark" aria-label="Millrace, home">
          <Mark />
          <span aria-hidden="true">millrace</span>
        </Link>
        <nav className="site-nav" aria-label="Main">
          <Way to="/" icon="grid" name="Catalog" also={['/product/']} />
          {isLoggedIn && <Way to="/orders" icon="box" name="Orders" also={['/orders/']} />}
          <Way to="/cart" icon="bag" name="Cart" count={units} also={['/checkout']} />
          {isLoggedIn ? (
            <Way to="/profile" icon="user" name="Profile" />
          ) : (
            <Way to="/login" icon="user" name="Login" also={['/register']} />
          )}
        </nav>
        <ThemeButton />
      </div>
    </header>
  )
}

function Way(props: { to: string; icon: IconName; name: string; count?: number; also?: string[] }) {
  const { to, icon, name, count: units = 0, also = [] } = props
  const path = usePath()
  const isHere = path === to || also.some((prefix) => path.startsWith(prefix))
  return (
    <Link to={to} className="nav-way" aria-current={isHere ? 'page' : undefined}>
      <Icon name={icon} />
      <span>{name}</span>
      {units > 0 && (
        <>
          {' '}
          <span key={units} className="nav-count">
            {units}
          </span>
        </>
      )}
    </Link>
  )
}
