/** Around every page: what is shown while its code is on its way, and when it breaks. */
import { Component, type ReactNode } from 'react'
import { Heading, Skeleton } from './Page'

export function PageSkeleton() {
  return (
    <div className="page">
      <Skeleton className="skeleton-heading" label="Loading" />
      <Skeleton className="skeleton-block" />
    </div>
  )
}

/** A page that breaks leaves the rest standing. Most often its code could not be loaded, after a new version or without a network. */
export class Rescue extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false }

  static getDerivedStateFromError() {
    return { isBroken: true }
  }

  override render() {
    if (!this.state.isBroken) return this.props.children
    return (
      <section className="notice" role="alert">
        <Heading>This page did not load</Heading>
        <p>
          {navigator.onLine
            ? 'There may be a new version of the store.'
            : 'You are offline. Try again when you are connected.'}
        </p>
        <button type="button" className="button" onClick={() => location.reload()}>
          Load it again
        </button>
      </section>
    )
  }
}
