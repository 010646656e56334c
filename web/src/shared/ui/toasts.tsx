/**
 * Short messages of what has worked, one at a time. They lie over the header and nothing else, and go by themselves, or at once when
 * Escape is pressed. What did not work is said where it was asked for.
 */
import './toasts.css'
import { useEffect, useSyncExternalStore } from 'react'
import { Icon } from './Icon'

type Kind = 'success' | 'error' | 'info'

interface Toast {
  id: number
  kind: Kind
  message: string
}

/** Errors stay longer, since they are read with a question in mind. */
const SHOWN_MS: Record<Kind, number> = { success: 4_000, info: 5_000, error: 8_000 }

let shown: readonly Toast[] = []
let nextId = 1
const listeners = new Set<() => void>()

function change(toasts: readonly Toast[]) {
  shown = toasts
  for (const listener of listeners) listener()
}

export function toast(kind: Kind, message: string) {
  change([{ id: nextId++, kind, message }])
}

function dismiss(id: number) {
  change(shown.filter((other) => other.id !== id))
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function Toasts() {
  const toasts = useSyncExternalStore(subscribe, () => shown)
  useEffect(() => {
    const clear = (event: KeyboardEvent) => {
      if (event.key === 'Escape') change([])
    }
    window.addEventListener('keydown', clear)
    return () => window.removeEventListener('keydown', clear)
  }, [])
  return (
    <section id="toast-container" aria-label="Messages" aria-live="polite">
      {toasts.map((each) => (
        <ToastCard key={each.id} toast={each} />
      ))}
    </section>
  )
}

function ToastCard({ toast: { id, kind, message } }: { toast: Toast }) {
  useEffect(() => {
    const timer = setTimeout(() => dismiss(id), SHOWN_MS[kind])
    return () => clearTimeout(timer)
  }, [id, kind])
  return (
    <div className={`toast toast-${kind}`} role={kind === 'error' ? 'alert' : undefined}>
      <Icon name={kind === 'success' ? 'check' : kind === 'error' ? 'alert' : 'info'} />
      <span>{message}</span>
      <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => dismiss(id)}>
        <Icon name="close" />
      </button>
    </div>
  )
}
