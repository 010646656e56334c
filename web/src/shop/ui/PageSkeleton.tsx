/** While the code of a page is on its way. */
import { Skeleton } from './Page'

export function PageSkeleton() {
  return (
    <div className="page">
      <Skeleton className="skeleton-heading" label="Loading" />
      <Skeleton className="skeleton-block" />
    </div>
  )
}
