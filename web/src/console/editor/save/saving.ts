/** What a save goes through: the process is asked what the text would change, a person says yes, and somebody else may have been faster. */
import { useCallback, useEffect, useState } from 'react'
import { ApiError, explain } from '../../../shared/api/errors'
import * as config from '../../operator/config'
import { actor } from '../../operator/words'
import { type Base, buffer, open, rebase, replace, useShown } from '../documents.ts'
import { isNewest } from './newer.ts'

/** Where a save is. */
export type Step =
  | { at: 'asking' }
  /** No process answers. */
  | { at: 'away' }
  | { at: 'untold'; why: string; isSignedOut: boolean }
  | { at: 'planned'; now: config.Config; plan: config.Plan }
  /** Somebody else has saved since the text was read. */
  | { at: 'changed'; theirs: config.Theirs; base: string }
  | { at: 'saved'; result: config.SaveResult; before: config.Config }

export interface Saving {
  step: Step
  save: (reason: string) => Promise<void>
  /** Goes on from what they have saved, with this text. */
  putTogether: (text: string, theirs: config.Theirs) => void
  /** Takes what they have saved, and keeps what is here as a draft of its own. */
  takeTheirs: (theirs: config.Theirs) => void
}

export function useSaving(): Saving {
  const { id, name, text, base } = useShown()
  const [step, setStep] = useState<Step>({ at: 'asking' })
  useEffect(() => {
    const superseded = new AbortController()
    const ask = async () => {
      const next = await planned(text, base, superseded.signal).catch(refused)
      if (!superseded.signal.aborted) setStep((before) => (before.at === 'saved' ? before : next))
    }
    void ask()
    return () => superseded.abort()
  }, [text, base])

  const save = async (reason: string) => {
    if (step.at !== 'planned') return
    const { now } = step
    try {
      const result = await config.save(text, reason, base?.digest ?? now.digest)
      setStep({ at: 'saved', result, before: now })
      rebase(id, { digest: result.digest, text })
      isNewest({ ...now, digest: result.digest, text, runs: result.runs })
    } catch (error) {
      const theirs = config.theirsOf(error)
      if (!theirs) throw error
      setStep({ at: 'changed', theirs, base: base?.text ?? now.text })
    }
  }
  const putTogether = (whole: string, theirs: config.Theirs) => {
    setStep({ at: 'asking' })
    rebase(id, baseOf(theirs))
    replace(id, whole, `Put together with what ${theirs.who ?? 'somebody else'} has saved`)
  }
  const takeTheirs = (theirs: config.Theirs) => {
    const mine = buffer(id)
    const draft = { name: draftName(name), text: mine.text, saved: mine.saved }
    replace(id, theirs.text, `Take what ${theirs.who ?? 'somebody else'} has saved`)
    rebase(id, baseOf(theirs))
    // What it was made from goes with it: saved later, it is put together with what they have done.
    open(draft.name, draft.text, { saved: draft.saved, base })
  }
  return {
    step,
    save,
    putTogether: useCallback(putTogether, [id]),
    takeTheirs: useCallback(takeTheirs, [id, name, base]),
  }
}

function baseOf({ digest, text }: config.Theirs): Base {
  return { digest, text }
}

function draftName(name: string): string {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? `${name.slice(0, dot)}-mine${name.slice(dot)}` : `${name}-mine`
}

async function planned(text: string, base: Base | null, signal: AbortSignal): Promise<Step> {
  const now = await config.read(signal)
  isNewest(now)
  if (base && base.digest !== now.digest) {
    return {
      at: 'changed',
      theirs: { ...(await whoSaved(now.digest, signal)), text: now.text, digest: now.digest },
      base: base.text,
    }
  }
  return { at: 'planned', now, plan: await config.plan(text, signal) }
}

/** What the history tells of a config. */
async function whoSaved(digest: string, signal: AbortSignal): Promise<Pick<config.Theirs, 'who' | 'reason'>> {
  const { items } = await config.history(signal).catch(() => ({ items: [] }))
  const last = items.find((saved) => saved.digest === digest)
  return { who: last?.who ?? null, reason: last?.reason ?? null }
}

function refused(error: unknown): Step {
  const failure = error instanceof ApiError ? error.failure : 'broken'
  if (failure === 'unreachable' || failure === 'missing') return { at: 'away' }
  return { at: 'untold', why: explain(error), isSignedOut: failure === 'unauthorized' }
}

/** In the words of the pages. */
export function nameOf(who: string | null): string {
  if (who === null) return 'somebody else'
  return who === 'file' ? 'somebody who wrote the file by hand' : actor(who)
}
