/**
 * Rows of columns; on a narrow screen each row is a card. Of many rows only those are in the page that are near the window, so a list
 * of thousands scrolls as one of ten does. The rows are laid out as a grid, which those of a `<table>` that come and go are not, so their
 * roles are written.
 */
import './Table.css'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { type CSSProperties, type ReactNode, useLayoutEffect, useRef, useState } from 'react'

export interface Column<T> {
  name: string
  /** A track of a CSS grid: `1fr`, `8rem`. */
  width: string
  cell: (row: T) => ReactNode
  /** Numbers stand under each other. */
  isNumber?: boolean
}

interface Props<T> {
  /** What the table is of. */
  label: string
  columns: readonly Column<T>[]
  rows: readonly T[]
  keyOf: (row: T) => string
  /** Said where there are no rows. */
  empty: ReactNode
}

/** Up to so many, all of them are in the page: the browser's own search finds them. */
const FEW = 60
const ROW_PX = 48

export function Table<T>({ label, columns, rows, keyOf, empty }: Props<T>) {
  if (rows.length === 0) return <div className="table-empty">{empty}</div>
  const tracks = columns.map(({ width }) => `minmax(0, ${width})`).join(' ')
  return (
    <div
      className="table"
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      style={{ '--tracks': tracks } as CSSProperties}
    >
      <div className="table-head" role="rowgroup">
        <div className="table-row" role="row" aria-rowindex={1}>
          {columns.map(({ name, isNumber }) => (
            <div key={name} role="columnheader" data-number={isNumber}>
              {name}
            </div>
          ))}
        </div>
      </div>
      {rows.length > FEW ? (
        <Near columns={columns} rows={rows} keyOf={keyOf} />
      ) : (
        <div role="rowgroup">
          {rows.map((row, index) => (
            <Row key={keyOf(row)} columns={columns} row={row} index={index} />
          ))}
        </div>
      )}
    </div>
  )
}

interface RowProps<T> {
  columns: readonly Column<T>[]
  row: T
  /** From 0, in all of the list. */
  index: number
  measure?: (element: HTMLElement | null) => void
}

function Row<T>({ columns, row, index, measure }: RowProps<T>) {
  return (
    <div className="table-row" role="row" aria-rowindex={index + 2} data-index={index} ref={measure}>
      {columns.map(({ name, cell, isNumber }) => (
        <div key={name} role="cell" data-label={name} data-number={isNumber}>
          {cell(row)}
        </div>
      ))}
    </div>
  )
}

/** The rows near the window, with room for the others before and after them. */
function Near<T>({ columns, rows, keyOf }: Pick<Props<T>, 'columns' | 'rows' | 'keyOf'>) {
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  // What stands above the table may grow.
  useLayoutEffect(() => {
    const element = body.current
    if (element) setTop(element.getBoundingClientRect().top + window.scrollY)
  }, [])
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW_PX,
    overscan: 12,
    scrollMargin: top,
    getItemKey: (index) => {
      const row = rows[index]
      return row === undefined ? index : keyOf(row)
    },
  })
  const shown = virtual.getVirtualItems()
  const before = (shown[0]?.start ?? top) - top
  const after = virtual.getTotalSize() - ((shown.at(-1)?.end ?? top) - top)
  return (
    <div ref={body} role="rowgroup" style={{ paddingBlock: `${before}px ${Math.max(after, 0)}px` }}>
      {shown.map(({ key, index }) => {
        const row = rows[index]
        return (
          row !== undefined && (
            <Row key={key} columns={columns} row={row} index={index} measure={virtual.measureElement} />
          )
        )
      })}
    </div>
  )
}
