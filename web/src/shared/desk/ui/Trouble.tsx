/** In the place of a page whose data did not come, or of a part of it. */
import { explain } from '../../api/errors'
import { Link } from '../../router'
import { Trouble as Notice } from '../../ui/Page'

interface Props {
  error: unknown
  retry: () => void
  what: string
  /** Where there is something for sure. */
  back: { to: string; name: string }
}

export function Trouble({ back, ...rest }: Props) {
  const elsewhere = (className: string) => (
    <Link to={back.to} className={className}>
      {back.name}
    </Link>
  )
  return <Notice {...rest} elsewhere={elsewhere} />
}

export function PartTrouble({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <div role="alert">
      <p>{explain(error)}</p>
      <div className="actions">
        <button type="button" className="button button-quiet" onClick={retry}>
          Try again
        </button>
      </div>
    </div>
  )
}
