/** In the place of a page that is not there. */
import { Notice } from '../../../shared/desk/ui/Notice'
import { Link } from '../../../shared/router'

export function MissingPage() {
  return (
    <Notice icon="info" title="There is no such page">
      <p>The address may be wrong.</p>
      <Link to="/instances" className="button">
        Go to the instances
      </Link>
    </Notice>
  )
}
