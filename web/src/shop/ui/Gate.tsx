/** The frame of the pages before the login: a form, and where there is room, a picture beside it. */
import type { ReactNode } from 'react'
import { Picture } from './Picture'

export function Gate({ image, children }: { image: string; children: ReactNode }) {
  const category = image.replace(/^.*\/|\.svg$/g, '')
  return (
    <div className="page gate-page">
      <Picture image={image} productId="" category={category} eager />
      <section className="gate">{children}</section>
    </div>
  )
}
