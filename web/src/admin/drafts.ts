/** What somebody has typed and not saved, while this tab is open: whoever goes back to the form finds it again. */
import { useEffect } from 'react'

const drafts = new Map<string, unknown>()

/** The draft of this form by this person, of this version of what it changes. */
export function draftKey(person: string | undefined, id: string, version: number): string {
  return [person, id, version].join(' ')
}

export function draftOf<T>(key: string): T | undefined {
  return drafts.get(key) as T | undefined
}

export function forgetDraft(key: string) {
  drafts.delete(key)
}

/** What was changed beside the form leaves what is typed there as it is, but for this. */
export function carryDraft<T extends object>(from: string, to: string, changed: (draft: T) => T) {
  const draft = draftOf<T>(from)
  drafts.delete(from)
  if (draft) drafts.set(to, changed(draft))
}

/** Keeps what is typed as long as it is not saved; the browser asks before it leaves the page. */
export function useDraft<T>(key: string, draft: T, isChanged: boolean) {
  useEffect(() => {
    if (isChanged) drafts.set(key, draft)
    else drafts.delete(key)
  }, [key, draft, isChanged])
  useEffect(() => {
    if (!isChanged) return
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [isChanged])
}
