/** Whether the process has another config by now than the one that is shown was made from. */
import { useEffect } from 'react'
import { create } from 'zustand'
import * as config from '../../operator/config'
import { rebase, replace, shown, useEditor, useShown } from '../documents.ts'

/** The config of the process, when it was last looked at. */
const useProcessHas = create<{ now: config.Config | null }>(() => ({ now: null }))

/** What the process has instead; `null` if it is what this was made from, or if nothing is known. */
export function useNewer(): config.Config | null {
  const { base } = useShown()
  const { now } = useProcessHas()
  return base && now && now.digest !== base.digest ? now : null
}

/** Looks when another tab has saved, and when this one is come back to. */
export function useLooking(): void {
  useEffect(() => {
    const look = async () => {
      if (document.hidden || !shown(useEditor.getState()).base) return
      const now = await config.read().catch(() => null)
      if (now) useProcessHas.setState({ now })
    }
    const hearing = config.hearOthers(() => void look())
    const began = setTimeout(() => void look())
    document.addEventListener('visibilitychange', look)
    return () => {
      clearTimeout(began)
      hearing()
      document.removeEventListener('visibilitychange', look)
    }
  }, [])
}

/** In the place of what is shown, where nothing was changed in that. */
export function takeNewer({ text, digest }: config.Config): void {
  const { id } = shown(useEditor.getState())
  replace(id, text, 'Take what the process has now')
  rebase(id, { text, digest })
}

/** What was just read or saved here is the newest. */
export function isNewest(now: config.Config): void {
  useProcessHas.setState({ now })
}
