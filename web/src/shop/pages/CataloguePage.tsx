/** Everything there is to buy. */
import './CataloguePage.css'
import { useVisit } from '../../shared/router'
import { More } from '../../shared/ui/More'
import { Heading, Skeleton } from '../../shared/ui/Page'
import type { Product } from '../api/resources'
import { useCatalogue } from '../queries'
import { ProductCard } from '../ui/ProductCard'
import { Trouble } from '../ui/Trouble'

export function CataloguePage() {
  const { products, hasMore, error, refresh, more } = useCatalogue()
  const [category, setCategory] = useVisit('category')
  if (error && !products) return <Trouble error={error} retry={refresh} what="catalogue" />

  const shown = products?.filter((product) => !category || product.category === category)
  return (
    <div className="page">
      <div className="hero">
        <Heading>Products</Heading>
        <p>Good tools for a desk you like. Buy one, then watch your order move, stage by stage, as it happens.</p>
      </div>
      {products ? <Filter products={products} chosen={category} choose={setCategory} /> : <FilterSkeleton />}
      <ul className={`product-grid${category ? '' : ' product-grid-all'}`}>
        {shown ? (
          shown.map((product, index) => <ProductCard key={product.id} product={product} eager={index < 4} />)
        ) : (
          <CardSkeletons />
        )}
      </ul>
      {hasMore && <More action={more}>Show more products</More>}
      {shown?.length === 0 && !hasMore && <p className="empty">There is nothing to sell at the moment.</p>}
    </div>
  )
}

function Filter(props: { products: Product[]; chosen: string | undefined; choose: (category?: string) => void }) {
  const { products, chosen, choose } = props
  const categories = [...new Set(products.map((product) => product.category))].filter(Boolean)
  if (categories.length < 2) return null
  return (
    <fieldset
      className="chips"
      // A browser is content when a part of what has the focus is seen.
      onFocus={({ target }) => target.scrollIntoView({ block: 'nearest', inline: 'nearest' })}
    >
      <legend className="sr-only">Show</legend>
      <button type="button" className="chip" aria-pressed={!chosen} onClick={() => choose()}>
        Everything
      </button>
      {categories.map((category) => (
        <button
          key={category}
          type="button"
          className="chip"
          aria-pressed={chosen === category}
          onClick={() => choose(category)}
        >
          {category}
        </button>
      ))}
    </fieldset>
  )
}

/** Keeps the place of the filter, so that nothing moves when it comes. */
function FilterSkeleton() {
  return (
    <div className="chips">
      <Skeleton className="chip skeleton-chip" />
    </div>
  )
}

function CardSkeletons() {
  return ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((key, index) => (
    <li key={key} className="card-skeleton">
      <Skeleton className="skeleton-picture" {...(index === 0 && { label: 'Loading products' })} />
      <Skeleton className="skeleton-line" />
    </li>
  ))
}
