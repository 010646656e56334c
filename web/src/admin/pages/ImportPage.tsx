/** Products from a table: first what it would change, then all of it or nothing. */
import './ImportPage.css'
import { type ReactNode, useState } from 'react'
import { outdate, useAction } from '../../shared/answers'
import { explain } from '../../shared/api/errors'
import { Badge, type Mood } from '../../shared/desk/ui/Badge'
import { Panel } from '../../shared/desk/ui/Panel'
import { type Column, Table } from '../../shared/desk/ui/Table'
import { navigate } from '../../shared/router'
import { BackLink } from '../../shared/ui/BackLink'
import { Field, FormError } from '../../shared/ui/Field'
import { Heading } from '../../shared/ui/Page'
import { toast } from '../../shared/ui/toasts'
import * as api from '../api/catalogue'

export default function ImportPage() {
  const [file, setFile] = useState<File>()
  const [shown, show] = useState<api.Preview>()
  const preview = useAction(api.previewImport, { onSuccess: show })
  const apply = useAction(api.applyImport, {
    onSuccess: ({ rows }) => {
      outdate((key) => key.startsWith('admin/product'))
      toast('success', `Imported ${counted(rows.filter(isChange).length, 'product')}`)
      navigate('/products')
    },
  })
  const choose = (chosen: File | undefined) => {
    setFile(chosen)
    show(undefined)
    if (chosen) preview.run(chosen)
  }
  const error = apply.error ?? preview.error
  return (
    <div className="page">
      <BackLink to="/products">Products</BackLink>
      <Heading>Import products</Heading>
      <div className="stack">
        <Panel title="The file">
          <Field
            label="A table as CSV"
            type="file"
            accept=".csv,text/csv"
            hint="The first line names the columns: sku, name, price, category, description, image, status. What a line leaves out stays as it is."
            onChange={(event) => choose(event.currentTarget.files?.[0])}
          />
          {preview.isPending && <p role="status">Reading the file…</p>}
          {error !== undefined && <FormError>{explain(error)}</FormError>}
        </Panel>
        {shown && file && (
          <Shown preview={shown}>
            <button
              type="button"
              className="button"
              disabled={!isReady(shown)}
              aria-disabled={apply.isPending}
              onClick={() => apply.run(file, shown.digest)}
            >
              {apply.isPending ? 'One moment…' : 'Import all of it'}
            </button>
          </Shown>
        )}
      </div>
    </div>
  )
}

function isChange({ changes, error }: api.PreviewRow): boolean {
  return !error && changes.length > 0
}

function isReady({ rows }: api.Preview): boolean {
  return rows.some(isChange) && !rows.some(({ error }) => error)
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

const MOODS: Readonly<Record<string, Mood>> = { create: 'good', update: 'moving' }

const COLUMNS: readonly Column<api.PreviewRow>[] = [
  {
    name: 'Product',
    width: '1fr',
    cell: ({ sku, line }) => (
      <div>
        <code>{sku}</code>
        <span className="table-sub">line {line}</span>
      </div>
    ),
  },
  {
    name: 'What happens',
    width: '8rem',
    cell: ({ action, error }) => (
      <Badge mood={error ? 'bad' : (MOODS[action] ?? 'calm')}>{error ? 'wrong' : (WORDS[action] ?? action)}</Badge>
    ),
  },
  { name: 'Changes', width: '3fr', cell: (row) => <Changes row={row} /> },
]

const WORDS: Readonly<Record<string, string>> = { create: 'new', update: 'changed', none: 'unchanged' }

function Changes({ row: { changes, error } }: { row: api.PreviewRow }) {
  if (error) return <span className="import-error">{error}</span>
  return (
    <ul className="import-changes">
      {changes.map(({ field, from, to }) => (
        <li key={field}>
          {field}: {from !== undefined && from !== null && <del>{String(from)}</del>} <ins>{String(to)}</ins>
        </li>
      ))}
    </ul>
  )
}

function Shown({ preview: { rows }, children }: { preview: api.Preview; children: ReactNode }) {
  const [isAll, setAll] = useState(false)
  const wrong = rows.filter(({ error }) => error)
  const changes = rows.filter(isChange)
  const unchanged = rows.length - wrong.length - changes.length
  return (
    <Panel title="What it would change" aside={children}>
      <p role="status">
        {counted(changes.length, 'product')} to change, {unchanged} as they are,{' '}
        {wrong.length === 0
          ? 'nothing wrong.'
          : `${counted(wrong.length, 'line')} wrong: mend the file and choose it again.`}
      </p>
      {unchanged > 0 && (
        <label className="check">
          <input type="checkbox" checked={isAll} onChange={(event) => setAll(event.currentTarget.checked)} />
          Show lines that change nothing too
        </label>
      )}
      <Table
        label="What the import would change"
        columns={COLUMNS}
        rows={isAll ? rows : [...wrong, ...changes]}
        keyOf={({ line }) => String(line)}
        empty={<p>Everything is already as the file says.</p>}
      />
    </Panel>
  )
}
