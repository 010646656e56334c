/** What can be done on the page that is shown, for those who look for it by its words. */
import { useEffect, useRef } from 'react'
import { create } from 'zustand'

/** Something that can be done, or a place to go to. */
export interface Offered {
  /** Of it alone, while the page is shown. */
  id: string
  label: string
  /** What it belongs to: `Edit`, `Go to`. */
  group: string
  /** The keys that do the same. */
  keys?: string
  run: () => void
}

type Source = () => readonly Offered[]

/** `isOpen`: somebody looks. Sources are asked then, so that what they offer fits what is there. */
export const useFinding = create<{ isOpen: boolean; sources: readonly Source[] }>(() => ({
  isOpen: false,
  sources: [],
}))

/** Offers this as long as the component is there. */
export function useOffered(source: Source): void {
  const latest = useRef(source)
  latest.current = source
  useEffect(() => {
    const own: Source = () => latest.current()
    useFinding.setState(({ sources }) => ({ sources: [...sources, own] }))
    return () => useFinding.setState(({ sources }) => ({ sources: sources.filter((one) => one !== own) }))
  }, [])
}

export function find(isOpen = true): void {
  useFinding.setState({ isOpen })
}

/** Those whose words begin with all that is wanted come first, then those that have it somewhere; each in the sequence given. */
export function matching(all: readonly Offered[], wanted: string): Offered[] {
  const parts = wanted.toLowerCase().split(/\s+/).filter(Boolean)
  const ranked = all.flatMap((offered) => {
    const words = `${offered.group} ${offered.label}`.toLowerCase()
    if (!parts.every((part) => words.includes(part))) return []
    const label = offered.label.toLowerCase()
    const begins = parts.every((part) => label.split(/[\s_/-]+/).some((word) => word.startsWith(part)))
    return [{ offered, rank: label.startsWith(parts.join(' ')) ? 0 : begins ? 1 : 2 }]
  })
  return ranked.toSorted((one, other) => one.rank - other.rank).map(({ offered }) => offered)
}
