/** A question that is answered before anything else: the browser keeps the focus in it, Escape closes it, and the focus goes back. */
import './Dialog.css'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { goBack, trailOf } from '../../ui/keptFocus'

interface Props {
  title: string
  /** For what is read rather than answered. */
  isWide?: boolean
  onClose: () => void
  children: ReactNode
}

export function Dialog({ title, isWide = false, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const before = trailOf(document.activeElement)
    const shown = dialog.current
    shown?.showModal()
    return () => {
      shown?.close()
      goBack(before)
    }
  }, [])
  return (
    <dialog
      ref={dialog}
      className="desk dialog"
      data-wide={isWide || undefined}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}
