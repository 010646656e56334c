/** From one thing to the list that it is in, as that was when it was last looked at: narrowed down, where it was. */
import { Link, lastAddress } from '../router'
import { Icon } from './Icon'

export function BackLink({ to, children }: { to: string; children: string }) {
  return (
    <Link to={lastAddress(to)} className="back-link">
      <Icon name="back" />
      {children}
    </Link>
  )
}
