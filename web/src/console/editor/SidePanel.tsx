/** A panel beside the drawing, with its heading and the way to close it. */
import './SidePanel.css'
import type { ReactNode, RefObject } from 'react'

interface Props {
  name: 'copilot' | 'components'
  heading: string
  /** What the way to close it is called. */
  closing: string
  onClose: () => void
  panel: RefObject<HTMLElement | null>
  /** Where the keys that go from panel to panel find it. */
  id?: string
  children: ReactNode
}

export function SidePanel({ name, heading, closing, onClose, panel, id, children }: Props) {
  return (
    <section
      className={`side-panel ${name}`}
      id={id}
      tabIndex={id === undefined ? undefined : -1}
      aria-labelledby={`${name}-heading`}
      ref={panel}
    >
      <header className="side-panel-head">
        <h2 id={`${name}-heading`}>{heading}</h2>
        <button type="button" aria-label={closing} onClick={onClose}>
          ×
        </button>
      </header>
      {children}
    </section>
  )
}
