/** Where boxes lie: where a person has put them, kept in this browser and never in the config; else where the drawing puts them. */
import { get, set } from 'idb-keyval'
import { useEffect, useMemo } from 'react'
import { create } from 'zustand'
import type { Model } from '../lens.ts'
import type { OpenConfig } from './documents.ts'
import { graphOf } from './drawing.ts'
import { completed, type Place, type Places, placed } from './placing.ts'

interface Kept {
  /** By an open config and the name of its file. */
  places: Readonly<Record<string, Places>>
  /** Counts up when the whole drawing should be seen. */
  looks: number
}

const usePlaceStore = create<Kept>(() => ({ places: {}, looks: 0 }))
const key = (file: string) => `places:${file}`
type Own = Pick<OpenConfig, 'id' | 'name'>
const of = ({ id, name }: Own) => `${id} ${name}`

export function useLooks(): number {
  return usePlaceStore(({ looks }) => looks)
}

/** The whole drawing should be seen. */
export function lookAtAll(): void {
  usePlaceStore.setState(({ looks }) => ({ looks: looks + 1 }))
}

/** Puts boxes somewhere. The config does not change by it. */
export function put(config: Own, moved: Places): void {
  const own = of(config)
  usePlaceStore.setState(({ places }) => ({ places: { ...places, [own]: { ...places[own], ...moved } } }))
  // Without storage the places live as long as the page.
  set(key(config.name), usePlaceStore.getState().places[own]).catch(() => undefined)
}

/** A box goes on lying where it is under another name. */
export function renamed(config: Own, from: string, to: string): void {
  const place = usePlaceStore.getState().places[of(config)]?.[from]
  if (place) put(config, { [to]: place })
}

/** Places of all boxes of a config; `null` while they are worked out. */
export function usePlaces(config: OpenConfig, model: Model): Places | null {
  const own = of(config)
  const known = usePlaceStore(({ places }) => places[own])
  useEffect(() => {
    if (known) return
    const found = (places: Places | undefined) => {
      usePlaceStore.setState(({ places: all }) => ({ places: { [own]: places ?? {}, ...all } }))
    }
    get<Places>(key(config.name)).then(found, () => found(undefined))
  }, [known, own, config.name])
  return useMemo(() => {
    if (!known) return null
    const graph = graphOf(model)
    const given = { ...drawnElsewhere(model), ...known }
    // Worked out only where a box has no place yet: moving one is for nothing.
    const automatic = graph.names.every((name) => given[name]) ? {} : placed(graph)
    return completed(graph.names, given, automatic)
  }, [known, model])
}

/** What another editor has written into the config as a hint. */
function drawnElsewhere({ modules }: Model): Places {
  const drawn = modules.filter(({ drawnAt }) => drawnAt)
  return Object.fromEntries(drawn.map(({ name, drawnAt }): [string, Place] => [name, drawnAt as Place]))
}
