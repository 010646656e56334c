/** Prices that are not what the customer was told: what they were, what they are, and what it comes to. */
import './PriceChange.css'
import { money } from '../../shared/format'
import type { CartLine } from '../cart'

interface Props {
  id: string
  /** As the customer has seen them. */
  before: readonly CartLine[]
  /** As the store sells them. */
  now: readonly CartLine[]
  /** In dollars. */
  was: number
  is: number
}

export function PriceChange({ id, before, now, was, is }: Props) {
  const changed = now.flatMap((line) => {
    const old = before.find(({ productId }) => productId === line.productId)
    return old && old.price !== line.price ? [{ ...line, old: old.price }] : []
  })
  return (
    <div id={id} className="price-change form-error" role="alert" tabIndex={-1}>
      <p>
        <strong>The price has changed since this page was loaded.</strong>
      </p>
      <ul>
        {changed.map(({ productId, name, old, price }) => (
          <li key={productId}>
            {name}: <s>{money(old)}</s> now {money(price)}
          </li>
        ))}
      </ul>
      <p>
        The total is {money(is)} instead of {money(was)}. Nothing was bought yet.
      </p>
    </div>
  )
}
