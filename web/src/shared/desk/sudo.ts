/**
 * The password once more, where the host asks for it. Whoever made the call waits meanwhile, and goes on with it as if nothing had been:
 * several calls at once ask once.
 */
import { useSyncExternalStore } from 'react'
import { ApiError } from '../api/errors'
import * as session from './session'

interface Question {
  answer: (isConfirmed: boolean) => void
  over: Promise<boolean>
}

let open: Question | undefined
const listeners = new Set<() => void>()

function change(next: Question | undefined) {
  open = next
  for (const listener of listeners) listener()
}

/** Whether the person has confirmed; a new token is in the session then. */
export function confirm(): Promise<boolean> {
  if (open) return open.over
  let answer: Question['answer'] = () => {}
  const over = new Promise<boolean>((resolve) => {
    answer = resolve
  })
  change({ answer, over })
  return over
}

/** What came of it; the dialog says so. */
export function answer(isConfirmed: boolean) {
  const question = open
  change(undefined)
  question?.answer(isConfirmed)
}

// Nobody is left who could give it.
session.subscribe(() => {
  if (!session.get()) answer(false)
})

/** Whether somebody waits for the answer. */
export function isAsked(): boolean {
  return open !== undefined
}

export function useIsAsked(): boolean {
  return useSyncExternalStore((listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }, isAsked)
}

/** Whether a refusal can be lifted by the password. */
export function isWanted(error: unknown): boolean {
  return error instanceof ApiError && names(error).some((name) => /sudo.required/.test(name))
}

/** Whether a login lacks the code of the second factor. */
export function isCodeWanted(error: unknown): boolean {
  return error instanceof ApiError && names(error).some((name) => /second.factor.required/.test(name))
}

function names({ problem }: ApiError): string[] {
  return [problem.code, problem.type].filter((name) => typeof name === 'string')
}
