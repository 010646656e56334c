/** One product. */
import './ProductPage.css'
import { useState } from 'react'
import { useAnswer } from '../../shared/answers'
import { money } from '../../shared/format'
import { Link } from '../../shared/router'
import { Icon } from '../../shared/ui/Icon'
import { Heading, Skeleton } from '../../shared/ui/Page'
import * as api from '../api/client'
import type { Product } from '../api/resources'
import { knownProduct, useCatalogue } from '../queries'
import { Picture } from '../ui/Picture'
import { addToCart, ProductCard } from '../ui/ProductCard'
import { Doubt, Quantity } from '../ui/Quantity'
import { Trouble } from '../ui/Trouble'

export default function ProductPage({ id }: { id: string }) {
  const { data: newest, error, refresh } = useAnswer(`product/${id}`, (signal) => api.product(id, signal))
  // Whoever comes from the catalogue sees the product at once, and its newest stock a moment later.
  const data = newest ?? knownProduct(id)
  if (error && !data) return <Trouble error={error} retry={refresh} what="product" />
  return (
    <div className="page">
      <Link to="/" className="back-link">
        <Icon name="back" />
        Back to catalog
      </Link>
      {data ? <Detail product={data} /> : <Skeleton className="skeleton-block" label="Loading the product" />}
      {data && <Related product={data} />}
    </div>
  )
}

function Detail({ product }: { product: Product }) {
  const { id, name, description, category, price, stock, image } = product
  const [quantity, setQuantity] = useState(1)
  return (
    <article className="product-detail">
      <Picture image={image} productId={id} category={category} eager />
      <div className="product-detail-text">
        <p className="product-detail-category">{category}</p>
        <Heading>{name}</Heading>
        <p className="product-detail-description">{description}</p>
        <div className="product-detail-offer">
          <p className="product-detail-price">{money(price)}</p>
          <p className={`product-detail-stock${stock > 0 ? '' : ' is-low'}`}>
            {stock > 0 ? `${stock} units in stock` : 'Sold out'}
          </p>
        </div>
        <div className="product-detail-buy">
          <Quantity value={quantity} name={name} onChange={setQuantity} />
          <button type="button" className="button" disabled={stock <= 0} onClick={() => addToCart(product, quantity)}>
            Add to Cart
          </button>
        </div>
        {stock > 0 && <Doubt product={product} quantity={quantity} onChange={setQuantity} />}
        <ul className="promises">
          <li>Set aside for you the moment you buy</li>
          <li>Charged once, whatever happens on the way</li>
          <li>Every stage shown while it happens</li>
        </ul>
      </div>
    </article>
  )
}

function Related({ product }: { product: Product }) {
  const { products } = useCatalogue()
  const related = products?.filter(({ id, category }) => id !== product.id && category === product.category).slice(0, 3)
  if (!related?.length) return null
  return (
    <section className="related">
      <h2>More of this kind</h2>
      <ul className="product-grid">
        {related.map((each) => (
          <ProductCard key={each.id} product={each} />
        ))}
      </ul>
    </section>
  )
}
