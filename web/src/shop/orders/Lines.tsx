import './Lines.css'
import { money } from '../../shared/format'

interface Line {
  productId: string
  name: string
  quantity: number
  price: number
}

/** What is bought, a line for each product, with what the line comes to. */
export function Lines({ lines }: { lines: readonly Line[] }) {
  return (
    <ul className="summary-lines">
      {lines.map(({ productId, name, quantity, price }) => (
        <li key={productId}>
          <span>{`${name} x${quantity}`}</span>
          <span>{money((Math.round(price * 100) * quantity) / 100)}</span>
        </li>
      ))}
    </ul>
  )
}
