/** What is in the cart, priced as the catalogue has it now. */
import '../ui/columns.css'
import './CartPage.css'
import { money } from '../../shared/format'
import { Link } from '../../shared/router'
import { Icon } from '../../shared/ui/Icon'
import { Heading } from '../../shared/ui/Page'
import { toast } from '../../shared/ui/toasts'
import type { Product } from '../api/resources'
import { type CartLine, cart, count, refreshed, remove, setQuantity, total, useCart } from '../cart'
import { useProducts } from '../queries'
import { Picture } from '../ui/Picture'
import { Doubt, Quantity } from '../ui/Quantity'

export default function CartPage() {
  const held = useCart()
  const products = useProducts(held.map(({ productId }) => productId))
  const lines = refreshed(held, products)
  if (lines.length === 0) return <EmptyCart />
  const units = count(lines)
  return (
    <div className="page">
      <Heading>Your Cart</Heading>
      <div className="columns">
        <ul className="cart-items">
          {lines.map((line) => (
            <Line
              key={line.productId}
              line={line}
              product={products?.find(({ id }) => id === line.productId)}
              isKnown={!!products}
            />
          ))}
        </ul>
        <section className="summary" aria-labelledby="cart-summary">
          <h2 id="cart-summary">Summary</h2>
          <dl className="sums">
            <div>
              <dt>{units === 1 ? '1 item' : `${units} items`}</dt>
              <dd>Free delivery</dd>
            </div>
            <div className="sums-total">
              <dt>Total</dt>
              <dd className="cart-summary-total">{money(total(lines))}</dd>
            </div>
          </dl>
          <Link to="/checkout" className="button button-wide">
            Proceed to Checkout
          </Link>
        </section>
      </div>
    </div>
  )
}

function Line({ line, product, isKnown }: { line: CartLine; product: Product | undefined; isKnown: boolean }) {
  const { productId, name, price, quantity, image, category } = line
  const change = (next: number) => cart.update((lines) => setQuantity(lines, productId, next))
  return (
    <li className="cart-item">
      <Picture image={image} productId={productId} category={category} eager />
      <div className="cart-item-text">
        <Link to={`/product/${encodeURIComponent(productId)}`} className="cart-item-name">
          {name}
        </Link>
        <p className="cart-item-price">{money(price)}</p>
        {isKnown && !product && <p className="doubt">No longer sold. Remove it to go on.</p>}
        {product && <Doubt product={product} quantity={quantity} onChange={change} />}
      </div>
      <Quantity value={quantity} name={name} onChange={change} />
      <button
        type="button"
        className="icon-button cart-item-remove"
        aria-label={`Remove ${name}`}
        onClick={() => drop(line)}
      >
        <Icon name="trash" />
      </button>
    </li>
  )
}

function drop({ productId }: CartLine) {
  cart.update((lines) => remove(lines, productId))
  toast('info', 'Item removed')
}

export function EmptyCart() {
  return (
    <section className="notice">
      <span className="notice-art" aria-hidden="true">
        <Icon name="bag" />
      </span>
      <Heading>Your cart is empty</Heading>
      <p>Everything you add stays here, on this device, until you buy it.</p>
      <Link to="/" className="button">
        Browse Products
      </Link>
    </section>
  )
}
