/** In the place of a page that cannot be shown: why, and what to do. */
import type { ReactNode } from 'react'
import { Icon, type IconName } from '../../ui/Icon'
import { Heading } from '../../ui/Page'

export function Notice({ icon, title, children }: { icon: IconName; title: string; children: ReactNode }) {
  return (
    <section className="notice">
      <span className="notice-art" aria-hidden="true">
        <Icon name={icon} />
      </span>
      <Heading>{title}</Heading>
      {children}
    </section>
  )
}
