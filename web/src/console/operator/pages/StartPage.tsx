/** The first page: what there is. */
import { Link } from '../../../shared/router'
import { Heading } from '../../../shared/ui/Page'

export function StartPage() {
  return (
    <div className="page">
      <Heading>Millrace console</Heading>
      <p>
        Look at <Link to="/instances">instances</Link>, at <Link to="/waiting">what waits</Link> and at{' '}
        <Link to="/components">components</Link> of a running process.
      </p>
    </div>
  )
}
