/** Above a list: its heading with what can be done, and what it is narrowed down by. */
import './Bar.css'
import { type ReactNode, useEffect, useState } from 'react'
import { keepAddress, navigate, usePath, useQuery, withQuery } from '../../router'
import { Heading } from '../../ui/Page'
import { Sign } from './Sign'

export function Bar({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="bar">
      <Heading>{title}</Heading>
      <div className="actions">{children}</div>
    </div>
  )
}

/** What the address narrows the list down by; a change of it is a new address that replaces this one. */
export function useFilters<N extends string>(names: readonly N[]) {
  const query = useQuery()
  const path = usePath()
  useEffect(() => keepAddress(path, query), [path, query])
  const filters = Object.fromEntries(names.map((name) => [name, query.get(name) ?? ''])) as Record<N, string>
  const change = (some: Partial<Record<N, string>>) =>
    navigate(withQuery(path, { ...filters, ...some }), { replace: true })
  const isNarrowed = names.some((name) => filters[name] !== '')
  return { filters, change, isNarrowed, clear: () => navigate(path, { replace: true }) }
}

const TYPING_MS = 300

/** Searches when nothing was typed for a moment, and at once on Enter. */
export function SearchField(props: { label: string; hint: string; value: string; onSearch: (words: string) => void }) {
  const { label, hint, value, onSearch } = props
  const [typed, setTyped] = useState(value)
  useEffect(() => setTyped(value), [value])
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is done follows from what was typed
  useEffect(() => {
    if (typed.trim() === value) return
    const timer = setTimeout(() => onSearch(typed.trim()), TYPING_MS)
    return () => clearTimeout(timer)
  }, [typed])
  return (
    <search className="search">
      <Sign name="search" />
      <input
        type="search"
        className="field-control"
        aria-label={label}
        placeholder={hint}
        autoComplete="off"
        spellCheck={false}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') onSearch(typed.trim())
        }}
      />
    </search>
  )
}
