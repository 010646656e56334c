/** Ctrl+K: everything that can be done, every page and every name of the config, found by its words. */
import './Finder.css'
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from 'react'
import { navigate } from '../../shared/router'
import { MENU } from '../operator/menu'
import { find, matching, type Offered, useFinding, useOffered } from './offered'

/** So many are shown; who wants another types more. */
const MOST = 60

export function Finder() {
  const isOpen = useFinding((state) => state.isOpen)
  useOffered(pages)
  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent) => {
      const isOwn =
        (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === 'k'
      if (!isOwn) return
      event.preventDefault()
      event.stopPropagation()
      if (!document.querySelector('dialog[open]')) find()
    }
    // Before the text, which has keys of its own.
    window.addEventListener('keydown', press, { capture: true })
    return () => window.removeEventListener('keydown', press, { capture: true })
  }, [])
  return isOpen ? <Question /> : null
}

function pages(): readonly Offered[] {
  return MENU.map(({ path, name }) => ({ id: `page ${path}`, label: name, group: 'Go to', run: () => navigate(path) }))
}

function Question() {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  const [wanted, setWanted] = useState('')
  const [at, setAt] = useState(0)
  const sources = useFinding((state) => state.sources)
  // Of the page first, then the other pages.
  const all = useMemo(() => sources.toReversed().flatMap((source) => source()), [sources])
  const found = useMemo(() => matching(all, wanted), [all, wanted])
  const shown = found.slice(0, MOST)
  const chosen = shown[Math.min(at, shown.length - 1)]
  const place = chosen ? `${id}-${shown.indexOf(chosen)}` : undefined
  useEffect(() => dialog.current?.showModal(), [])
  // The list scrolls with the choice.
  useEffect(() => {
    if (place) document.getElementById(place)?.scrollIntoView({ block: 'nearest' })
  }, [place])
  const run = (offered: Offered) => {
    // The focus is back where it was before anything is done there.
    dialog.current?.close()
    find(false)
    offered.run()
  }
  const press = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }
    const step = steps[event.key]
    if (event.key === 'Enter' && chosen) run(chosen)
    else if (step !== undefined)
      setAt((Math.min(at, shown.length - 1) + step + shown.length) % Math.max(shown.length, 1))
    else return
    event.preventDefault()
  }
  return (
    <dialog ref={dialog} className="finder" aria-label="Find a command" onClose={() => find(false)}>
      <input
        type="text"
        className="finder-input"
        role="combobox"
        aria-label="Command, page or name"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={place}
        placeholder="Find a command, a page or a name"
        spellCheck={false}
        autoComplete="off"
        value={wanted}
        onChange={({ target }) => {
          setWanted(target.value)
          setAt(0)
        }}
        onKeyDown={press}
      />
      <div className="finder-list" id={`${id}-list`} role="listbox" aria-label="What fits">
        {shown.map((offered, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are heard by the input, which has the focus
          <div
            key={offered.id}
            id={`${id}-${index}`}
            className="finder-option"
            role="option"
            tabIndex={-1}
            aria-selected={offered === chosen}
            onClick={() => run(offered)}
          >
            <span className="finder-group">{offered.group}</span>
            <span>{offered.label}</span>
            {offered.keys && <kbd>{offered.keys}</kbd>}
          </div>
        ))}
      </div>
      <p className="finder-said" role="status">
        {found.length === 0 ? 'Nothing fits.' : `${found.length} found${found.length > MOST ? `, ${MOST} shown` : ''}`}
      </p>
    </dialog>
  )
}
