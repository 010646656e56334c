/** What a step or somebody has changed in the data: each field with what it held before and after. */
import './Changes.css'
import type { DataChange, FieldValue } from '../api'
import { written } from '../values'

export function Changes({ changes }: { changes: readonly DataChange[] }) {
  if (changes.length === 0) return null
  return (
    <dl className="changes" aria-label="Changed in the data">
      {changes.map(({ field, before, after }) => (
        <div key={field}>
          <dt>{field}</dt>
          <dd>
            {before.is !== 'absent' && (
              <>
                <span className="sr-only">before </span>
                <Value of={before} isOld />
                <span aria-hidden="true"> → </span>
              </>
            )}
            <span className="sr-only">{before.is === 'absent' ? 'new ' : ' after '}</span>
            <Value of={after} />
          </dd>
        </div>
      ))}
    </dl>
  )
}

function Value({ of, isOld = false }: { of: FieldValue; isOld?: boolean }) {
  const { text, whole } = written(of)
  const title = whole === text ? undefined : whole
  return isOld ? <del title={title}>{text}</del> : <ins title={title}>{text}</ins>
}
