/** The next page of a list. What goes wrong is said where it was asked for. */
import './More.css'
import { explain } from '../api/errors'
import { FormError } from './Field'

interface Props {
  action: { run: () => void; isPending: boolean; error: unknown }
  children: string
}

export function More({ action: { run, isPending, error }, children }: Props) {
  return (
    <div className="more">
      <button type="button" className="button button-quiet" aria-disabled={isPending} onClick={() => run()}>
        {isPending ? 'One moment…' : children}
      </button>
      {error !== undefined && <FormError>{explain(error)}</FormError>}
    </div>
  )
}
