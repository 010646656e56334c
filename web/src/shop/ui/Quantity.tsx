/** How many: one more, one less, or a number typed. */
import './Quantity.css'
import { useState } from 'react'
import { Icon } from '../../shared/ui/Icon'
import type { Product } from '../api/resources'
import { MAX_QUANTITY } from '../cart'

export function Quantity({
  value,
  name,
  onChange,
}: {
  value: number
  name: string
  onChange: (value: number) => void
}) {
  // What is being typed may be nothing for a moment; it counts when it is a number.
  const [typed, setTyped] = useState<string>()
  const take = (text: string) => {
    setTyped(text)
    const number = Number.parseInt(text, 10)
    if (number >= 1 && number <= MAX_QUANTITY) onChange(number)
  }
  return (
    <div className="quantity">
      <button
        type="button"
        className="qty-minus"
        aria-label={`One ${name} less`}
        disabled={value <= 1}
        onClick={() => onChange(value - 1)}
      >
        <Icon name="minus" />
      </button>
      <input
        className="qty-value"
        inputMode="numeric"
        pattern="[0-9]*"
        maxLength={4}
        aria-label={`Quantity of ${name}`}
        value={typed ?? String(value)}
        onChange={(event) => take(event.target.value)}
        onBlur={() => setTyped(undefined)}
      />
      <button
        type="button"
        className="qty-plus"
        aria-label={`One ${name} more`}
        disabled={value >= MAX_QUANTITY}
        onClick={() => onChange(value + 1)}
      >
        <Icon name="plus" />
      </button>
    </div>
  )
}

/** What may go wrong with so many; the store's answer to the order is what counts, so nothing is forbidden here. */
export function Doubt(props: { product: Product; quantity: number; onChange: (quantity: number) => void }) {
  const { product, quantity, onChange } = props
  const { stock, name } = product
  if (quantity <= stock) return null
  return (
    <p className="doubt">
      {stock > 0 ? `Only ${stock} left` : 'Sold out'}. The inventory check will most likely refuse this.{' '}
      {stock > 0 && (
        <button type="button" className="set-to" aria-label={`Set ${name} to ${stock}`} onClick={() => onChange(stock)}>
          Set to {stock}
        </button>
      )}
    </p>
  )
}
