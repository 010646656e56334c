/** Around every page: what is shown while its code is on its way, and when it breaks. */
import { Component, type ReactNode } from 'react'
import { tryFailedAgain } from './chunks'
import { Heading, Skeleton } from './Page'

export function PageSkeleton() {
  return (
    <div className="page">
      <Skeleton className="skeleton-heading" label="Loading" />
      <Skeleton className="skeleton-block" />
    </div>
  )
}

/**
 * A page that breaks leaves the rest standing. Most often its code could not be loaded: without a network, while the store does not
 * answer, or after a new version of it. It is tried again when the network is back.
 */
export class Rescue extends Component<{ children: ReactNode }, { cause: Cause | undefined }> {
  override state = { cause: undefined }

  constructor(props: { children: ReactNode }) {
    super(props)
    tryFailedAgain()
  }

  static getDerivedStateFromError() {
    return { cause: navigator.onLine ? 'unknown' : 'offline' }
  }

  override componentDidMount() {
    window.addEventListener('online', this.again)
  }

  override componentWillUnmount() {
    window.removeEventListener('online', this.again)
  }

  override componentDidCatch() {
    if (navigator.onLine) void causeFound().then((cause) => this.setState({ cause }))
  }

  again = () => {
    tryFailedAgain()
    this.setState({ cause: undefined })
  }

  override render() {
    const { cause } = this.state as { cause: Cause | undefined }
    if (!cause) return this.props.children
    return (
      <section className="notice" role="alert">
        <Heading>This page did not load</Heading>
        <p>{WORDS[cause]}</p>
        <button type="button" className="button" onClick={cause === 'changed' ? () => location.reload() : this.again}>
          Load it again
        </button>
      </section>
    )
  }
}

type Cause = keyof typeof WORDS

const WORDS = {
  offline: 'You are offline. Try again when you are connected.',
  away: 'The store does not answer at the moment. Try again shortly.',
  changed: 'There is a new version of the store.',
  unknown: 'Something went wrong on the way. Try again.',
}

/** Whether the store is there, and still the one that this page came from. */
async function causeFound(): Promise<Cause> {
  try {
    const answer = await fetch(location.pathname, { cache: 'no-store', headers: { Accept: 'text/html' } })
    if (!answer.ok) return 'away'
    const text = await answer.text()
    const own = document.querySelector<HTMLScriptElement>('script[type=module][src]')?.getAttribute('src')
    return own && !text.includes(own) ? 'changed' : 'unknown'
  } catch {
    return navigator.onLine ? 'away' : 'offline'
  }
}
