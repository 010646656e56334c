import { Link } from '../router'
import { Heading } from '../ui/Page'

export function MissingPage() {
  return (
    <section className="notice">
      <Heading>Nothing here</Heading>
      <p>This address leads to no page of the store.</p>
      <Link to="/" className="button">
        Browse all products
      </Link>
    </section>
  )
}
