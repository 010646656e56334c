import { Link } from '../../shared/router'
import { Icon } from '../../shared/ui/Icon'
import { Heading } from '../../shared/ui/Page'

export function MissingPage() {
  return (
    <section className="notice">
      <span className="notice-art" aria-hidden="true">
        <Icon name="info" />
      </span>
      <Heading>Nothing here</Heading>
      <p>This address leads to no page of the store.</p>
      <Link to="/" className="button">
        Browse all products
      </Link>
    </section>
  )
}
