/** What a careful person would add, each with its reason. */
import { useMemo, useState } from 'react'
import { suggestions } from '../../copilot/suggest.ts'
import { select, useModel } from '../documents.ts'
import type { Propose } from './Copilot.tsx'

export function Suggestions({ propose }: { propose: Propose }) {
  const model = useModel()
  const [isOpen, setOpen] = useState(false)
  const all = useMemo(() => (isOpen ? suggestions(model) : []), [isOpen, model])
  return (
    <section className="copilot-part" aria-label="Suggestions">
      <button type="button" className="copilot-more" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        Explore suggestions
      </button>
      {isOpen && all.length === 0 && <p>The rules see nothing to add.</p>}
      <ul className="copilot-problems">
        {all.map(({ title, why, path, make }) => (
          <li key={title}>
            <b>{title}</b>
            <p>{why}</p>
            <div className="copilot-chips">
              {make && (
                <button
                  type="button"
                  aria-label={`Show the change: ${title}`}
                  onClick={() => propose({ title: make(model).label, why, make })}
                >
                  Show the change
                </button>
              )}
              {path && (
                <button type="button" aria-label={`Show the place: ${title}`} onClick={() => select(placeOf(path))}>
                  Show the place
                </button>
              )}
            </div>
          </li>
        ))}
      </ul>
    </section>
  )

  function placeOf(path: readonly (string | number)[]) {
    const name = path[0] === 'modules' ? model.modules[Number(path[1])]?.name : undefined
    return name ? { modules: [name] } : { path: [...path] }
  }
}
