/** Instead of a page whose data did not come; the catalogue is always there. */
import { Link } from '../../shared/router'
import { Trouble as SharedTrouble } from '../../shared/ui/Page'

export function Trouble(props: { error: unknown; retry: () => void; what: string }) {
  return (
    <SharedTrouble
      {...props}
      elsewhere={(className) => (
        <Link to="/" className={className}>
          Browse all products
        </Link>
      )}
    />
  )
}
