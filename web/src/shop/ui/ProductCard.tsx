/** One product of a list. The whole card leads to it; the button in its corner puts one into the cart. */
import './ProductCard.css'
import { money } from '../../shared/format'
import { Link } from '../../shared/router'
import { Icon } from '../../shared/ui/Icon'
import { toast } from '../../shared/ui/toasts'
import type { Product } from '../api/resources'
import { add, cart } from '../cart'
import { Picture } from './Picture'

/** Fewer than this are few. */
const FEW = 10

export function ProductCard({ product, eager = false }: { product: Product; eager?: boolean }) {
  const { id, name, category, price, stock, image } = product
  return (
    <li className="product-card">
      <Picture image={image} productId={id} category={category} eager={eager} />
      <div className="product-card-text">
        <h2 className="product-card-name">
          <Link to={`/product/${encodeURIComponent(id)}`}>{name}</Link>
        </h2>
        <p className="product-card-price">{money(price)}</p>
        <p className="product-card-category">{category}</p>
        <p className={`product-card-stock${stock < FEW ? ' is-low' : ''}`}>
          {stock > 0 ? `${stock} in stock` : 'Sold out'}
        </p>
      </div>
      <button
        type="button"
        className="quick-add"
        aria-label={`Add ${name} to cart`}
        disabled={stock <= 0}
        onClick={() => addToCart(product)}
      >
        <Icon name="plus" />
      </button>
    </li>
  )
}

export function addToCart(product: Product, quantity = 1) {
  cart.update((lines) => add(lines, product, quantity))
  toast('success', `${product.name} added to cart`)
}
