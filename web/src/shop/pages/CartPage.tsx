/** What is in the cart, priced as the catalogue has it now. */
import '../styles/columns.css'
import '../styles/cart.css'

import type { Product } from '../api/resources'
import { type CartLine, cart, count, refreshed, remove, setQuantity, total, useCart } from '../cart'
import { money } from '../format'
import { useProducts } from '../queries'
import { Link } from '../router'
import { Icon } from '../ui/Icon'
import { Heading } from '../ui/Page'
import { Picture } from '../ui/Picture'
import { Quantity } from '../ui/Quantity'
import { toast } from '../ui/toasts'

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
  return (
    <li className="cart-item">
      <Picture image={image} productId={productId} category={category} eager />
      <div className="cart-item-text">
        <Link to={`/product/${encodeURIComponent(productId)}`} className="cart-item-name">
          {name}
        </Link>
        <p className="cart-item-price">{money(price)}</p>
        <Doubt product={product} isKnown={isKnown} quantity={quantity} />
      </div>
      <Quantity value={quantity} name={name} onChange={(next) => cart.set(setQuantity(cart.get(), productId, next))} />
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

/** What may go wrong with a line; the store's answer to the order is what counts, so nothing is forbidden here. */
function Doubt({ product, isKnown, quantity }: { product: Product | undefined; isKnown: boolean; quantity: number }) {
  if (isKnown && !product) return <p className="doubt">No longer sold. Remove it to go on.</p>
  if (!product || quantity <= product.stock) return null
  const left = product.stock > 0 ? `Only ${product.stock} left` : 'Sold out'
  return <p className="doubt">{left}. The inventory check will most likely refuse this.</p>
}

function drop({ productId }: CartLine) {
  cart.set(remove(cart.get(), productId))
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
