/** The rows of a list, or what is there instead of them; how many there are is said politely when the list has changed. */
import { type ReactNode, useId } from 'react'
import { More } from '../../ui/More'
import { Skeleton } from '../../ui/Page'
import { type Column, Table } from './Table'
import { PartTrouble } from './Trouble'

interface Props<T> {
  label: string
  columns: readonly Column<T>[]
  list: {
    items: readonly T[] | undefined
    hasMore: boolean
    error: unknown
    refresh: () => void
    more: { run: () => void; isPending: boolean; error: unknown }
  }
  keyOf: (row: T) => string
  empty: ReactNode
}

/** Where little fits, a look ends before all was looked at. */
const SO_FAR = 'Nothing fits among the newest. There are more that were not looked at yet.'

export function ListBody<T>({ label, columns, list, keyOf, empty }: Props<T>) {
  const id = useId()
  const { items, hasMore, error, refresh, more } = list
  if (!items && error !== undefined) return <PartTrouble error={error} retry={refresh} />
  if (!items) return <Skeleton className="skeleton-block" label={`Loading ${label.toLowerCase()}`} />
  return (
    <>
      <p className="sr-only" role="status" id={id}>
        {items.length === 0 ? 'Nothing found so far' : `${items.length}${hasMore ? ' and more' : ''} shown`}
      </p>
      <Table label={label} columns={columns} rows={items} keyOf={keyOf} empty={hasMore ? <p>{SO_FAR}</p> : empty} />
      {hasMore && <More action={more}>{items.length === 0 ? 'Look further' : 'Show more'}</More>}
    </>
  )
}
