/** A product on its category's colour. A category's file holds a view for each of its products; an unknown one shows the whole. */
import './Picture.css'

export function Picture(props: { image: string; productId: string; category: string; eager?: boolean }) {
  const { image, productId, category, eager = false } = props
  return (
    <span className="picture" data-category={category.toLowerCase().replaceAll(/\W+/g, '-')}>
      {image && (
        <img
          src={productId ? `${image}#${productId}` : image}
          alt=""
          width={400}
          height={300}
          loading={eager ? 'eager' : 'lazy'}
          decoding="async"
          onError={(event) => {
            event.currentTarget.hidden = true
          }}
        />
      )}
    </span>
  )
}
