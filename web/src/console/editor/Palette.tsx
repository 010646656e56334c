/** The types of modules. One is dragged to where it should lie, or added by a click or Enter. */
import './Palette.css'
import { type DragEvent, useState } from 'react'
import { Drawing } from '../../shared/ui/Icon'
import { add } from './actions.ts'
import { DRAGGED } from './Canvas.tsx'
import { PALETTE, ROLE_DRAWINGS } from './roles.ts'

export function Palette() {
  const [wanted, setWanted] = useState('')
  const groups = PALETTE.map((group) => ({ ...group, types: group.types.filter((one) => isWanted(one, wanted)) }))
  const shown = groups.filter(({ types }) => types.length > 0)
  return (
    <div className="palette">
      <input
        type="search"
        className="palette-search"
        placeholder="Find a module"
        aria-label="Find a module"
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
      />
      {shown.length === 0 && <p className="palette-none">No module is called that.</p>}
      {shown.map(({ role, label, types }) => (
        <section key={role} aria-label={label} className={`role-${role}`}>
          <h3>{label}</h3>
          <ul>
            {types.map(({ type, label: name }) => (
              <li key={type}>
                <button
                  type="button"
                  draggable="true"
                  className="palette-item"
                  title={`${type}: drag it to the canvas, or click`}
                  onDragStart={(event) => carry(event, type)}
                  onClick={() => add(type, null)}
                >
                  <Drawing path={ROLE_DRAWINGS[role]} />
                  {name}
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  )
}

function isWanted({ label, type }: { label: string; type: string }, wanted: string): boolean {
  return `${label} ${type}`.toLowerCase().includes(wanted.trim().toLowerCase())
}

function carry(event: DragEvent, type: string): void {
  event.dataTransfer.setData(DRAGGED, type)
  event.dataTransfer.effectAllowed = 'copyMove'
}
