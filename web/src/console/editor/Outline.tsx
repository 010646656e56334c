/** The config as a tree of words: everything that can be done on the canvas can be done here, by keys alone. */
import './Outline.css'
import { type KeyboardEvent, useMemo, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import type { Model } from '../lens.ts'
import type { OutlineItem } from '../outline.ts'
import type { Path } from '../source.ts'
import { deleteSelected } from './actions.ts'
import { select, useEditor, useModel } from './documents.ts'
import { selectedPath } from './selection.ts'

interface Row extends OutlineItem {
  id: string
  level: number
  /** The row that it is in. */
  above: string | null
  position: number
  siblings: number
}

interface Props {
  onConnect: (from: string) => void
  onRename: () => void
}

export function Outline({ onConnect, onRename }: Props) {
  const model = useModel()
  const selection = useEditor((state) => state.selection)
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
  const [focus, setFocus] = useState<string | null>(null)
  const rows = useMemo(() => rowsOf(model.outline, closed), [model, closed])
  const chosen = selectedPath(model, selection)?.join('/')
  const current = rows.find(({ id }) => id === focus) ?? rows.find(({ path }) => path?.join('/') === chosen) ?? rows[0]
  const tree = useRef<HTMLDivElement>(null)
  const typed = useRef({ text: '', at: 0 })

  const go = (row: Row | undefined) => {
    if (!row) return
    setFocus(row.id)
    tree.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(row.id)}"]`)?.focus()
  }
  const open = (row: Row, isOpen: boolean) => {
    const next = new Set(closed)
    if (isOpen) next.delete(row.id)
    else next.add(row.id)
    setClosed(next)
  }
  const press = (event: KeyboardEvent, row: Row) => {
    const at = rows.indexOf(row)
    const isOpen = row.children.length > 0 && !closed.has(row.id)
    const moves: Record<string, () => void> = {
      ArrowDown: () => go(rows[at + 1]),
      ArrowUp: () => go(rows[at - 1]),
      Home: () => go(rows[0]),
      End: () => go(rows.at(-1)),
      ArrowRight: () => (isOpen ? go(rows[at + 1]) : open(row, true)),
      ArrowLeft: () => (isOpen ? open(row, false) : go(rows.find(({ id }) => id === row.above))),
      Enter: () => enter(model, row),
      ' ': () => choose(model, row),
      Delete: () => {
        choose(model, row)
        deleteSelected()
        go(rows[at - 1])
      },
      F2: () => {
        if (!isPart(row)) return
        // Its own form has to be there: that of what was chosen before would take what is typed.
        flushSync(() => choose(model, row))
        onRename()
      },
    }
    const name = moduleOf(model, row.path)
    if (name !== null && event.key.toLowerCase() === 'c' && !event.ctrlKey && !event.metaKey)
      moves[event.key] = () => onConnect(name)
    const move =
      moves[event.key] ??
      (event.key.length === 1 && !event.ctrlKey && !event.metaKey ? () => typeAhead(event.key, at) : null)
    if (!move) return
    event.preventDefault()
    event.stopPropagation()
    // What was typed before something else was done is over.
    if (moves[event.key]) typed.current.text = ''
    move()
  }
  const typeAhead = (key: string, at: number) => {
    const now = performance.now()
    typed.current = { text: now - typed.current.at < 800 ? typed.current.text + key : key, at: now }
    const wanted = typed.current.text.toLowerCase()
    const start = wanted.length > 1 ? at : at + 1
    go([...rows.slice(start), ...rows.slice(0, start)].find(({ label }) => label.toLowerCase().startsWith(wanted)))
  }
  if (rows.length === 0) return <p className="outline-none">Nothing is written yet. Add a module, or import a file.</p>
  return (
    <div ref={tree} className="outline" role="tree" aria-label="Outline">
      {rows.map((row) => (
        <div
          key={row.id}
          role="treeitem"
          data-row={row.id}
          className="outline-row"
          aria-level={row.level}
          aria-posinset={row.position}
          aria-setsize={row.siblings}
          aria-expanded={row.children.length > 0 ? !closed.has(row.id) : undefined}
          aria-selected={row.path !== null && row.path.join('/') === chosen}
          tabIndex={row === current ? 0 : -1}
          style={{ paddingInlineStart: `${0.5 + (row.level - 1) * 0.875}rem` }}
          onKeyDown={(event) => press(event, row)}
          onClick={() => {
            setFocus(row.id)
            if (isPart(row)) choose(model, row)
            else open(row, closed.has(row.id))
          }}
        >
          <span className="outline-twist" aria-hidden="true">
            {row.children.length > 0 ? (closed.has(row.id) ? '▸' : '▾') : ''}
          </span>
          <span className="outline-label">{row.label || '(no name)'}</span>
          {row.detail && <span className="outline-detail">{row.detail}</span>}
        </div>
      ))}
    </div>
  )
}

function rowsOf(
  items: readonly OutlineItem[],
  closed: ReadonlySet<string>,
  level = 1,
  above: string | null = null,
): Row[] {
  return items.flatMap((item, index) => {
    const id = item.path && level > 1 ? item.path.join('/') : `${above ?? ''}>${item.label}`
    const row: Row = { ...item, id, level, above, position: index + 1, siblings: items.length }
    return closed.has(id) ? [row] : [row, ...rowsOf(item.children, closed, level + 1, id)]
  })
}

function moduleOf(model: Model, path: Path | null): string | null {
  return path?.[0] === 'modules' && path.length === 2 ? (model.modules[Number(path[1])]?.name ?? null) : null
}

/** Not a heading, which stands for no part of the config. */
function isPart(row: Row): row is Row & { path: Path } {
  return row.path !== null && row.level > 1
}

function choose(model: Model, row: Row): void {
  if (!isPart(row)) return
  const name = moduleOf(model, row.path)
  select(name === null ? { path: row.path } : { modules: [name] })
}

/** Goes on in the form. */
function enter(model: Model, row: Row): void {
  choose(model, row)
  requestAnimationFrame(() => {
    const panel = document.getElementById('panel-properties')
    const first = panel?.querySelector<HTMLElement>('input, select, button')
    ;(first ?? panel)?.focus()
  })
}
