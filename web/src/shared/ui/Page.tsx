/** What every page has: a title for the tab, a heading that takes the focus when the page is entered, and honest words when it cannot be shown. */
import './Page.css'
import { type ReactNode, useEffect, useRef } from 'react'
import { ApiError, explain } from '../api/errors'
import { Icon } from './Icon'

/** The first page of a visit leaves the focus where the browser put it. */
let isFirst = true

export function Heading({ children, title }: { children: ReactNode; title?: string }) {
  const heading = useRef<HTMLHeadingElement>(null)
  const name = title ?? (typeof children === 'string' ? children : '')
  useEffect(() => {
    document.title = name ? `${name} · Millrace` : 'Millrace'
  }, [name])
  useEffect(() => {
    if (!isFirst) heading.current?.focus({ preventScroll: true })
    isFirst = false
  }, [])
  return (
    <h1 ref={heading} className="heading" tabIndex={-1}>
      {children}
    </h1>
  )
}

interface TroubleProps {
  error: unknown
  retry: () => void
  /** What did not come, as `order`. */
  what: string
  /** A link to where there is something for sure; it looks like that. */
  elsewhere: (className: string) => ReactNode
}

/** Instead of a page whose data did not come. */
export function Trouble({ error, retry, what, elsewhere }: TroubleProps) {
  // An address that the API cannot even read leads to nothing too.
  const isMissing = error instanceof ApiError && ['missing', 'invalid'].includes(error.failure)
  return (
    <section className="notice" role="alert">
      <span className="notice-art" aria-hidden="true">
        <Icon name={isMissing ? 'info' : 'alert'} />
      </span>
      <Heading>{isMissing ? `There is no such ${what}` : `The ${what} did not load`}</Heading>
      <p>{isMissing ? 'It may have been removed, or the address is wrong.' : explain(error)}</p>
      <div className="actions">
        {!isMissing && (
          <button type="button" className="button" onClick={retry}>
            Try again
          </button>
        )}
        {elsewhere(isMissing ? 'button' : 'button button-quiet')}
      </div>
    </section>
  )
}

/** Grey shapes where something will be. */
export function Skeleton({ className = '', label }: { className?: string; label?: string }) {
  return (
    <div className={`skeleton ${className}`}>
      {label && (
        <span className="sr-only" role="status">
          {label}
        </span>
      )}
    </div>
  )
}
