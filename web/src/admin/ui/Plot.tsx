/** Bars over time, for a look; in words for who does not see them. */
import './Plot.css'

interface Props {
  /** What it shows, with the figures that matter. */
  label: string
  values: readonly number[]
  /** Below the first and the last bar. */
  from: string
  to: string
}

const HEIGHT = 40

export function Plot({ label, values, from, to }: Props) {
  const most = Math.max(1, ...values)
  return (
    <figure className="plot">
      <svg viewBox={`0 0 ${values.length * 4} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {values.map((value, index) => {
          const height = value === 0 ? 0.75 : Math.max((value / most) * HEIGHT, 2)
          return (
            <rect
              // biome-ignore lint/suspicious/noArrayIndexKey: a bar is its place
              key={index}
              x={index * 4}
              y={HEIGHT - height}
              width={3}
              height={height}
              data-none={value === 0}
            />
          )
        })}
      </svg>
      <figcaption aria-hidden="true">
        <span>{from}</span>
        <span>most: {most}</span>
        <span>{to}</span>
      </figcaption>
    </figure>
  )
}
