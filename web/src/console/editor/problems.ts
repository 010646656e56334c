/** What is wrong with the config that is shown: what the browser sees at once, and what the host has said of just this text. */
import { useEffect, useMemo } from 'react'
import { create } from 'zustand'
import { lens } from '../lens.ts'
import { shown, useEditor, useModel, useShown } from './documents.ts'
import { check, type Verdict } from './host.ts'
import { judged, type Problem } from './judge.ts'

interface Heard {
  /** The host's word on one text. */
  text: string | null
  problems: readonly Problem[]
  /** Whether there is a process that answers. */
  host: 'unknown' | 'there' | 'away' | 'closed'
}

const useHeard = create<Heard>(() => ({ text: null, problems: [], host: 'unknown' }))
/** A person goes on typing: the host is asked when they pause. */
const PAUSE_MS = 300

export function useHost(): Heard['host'] {
  return useHeard(({ host }) => host)
}

export interface Judgement {
  problems: readonly Problem[]
  /** Who says so. */
  by: 'host' | 'browser'
  /** How many problems each module has. */
  byModule: ReadonlyMap<string, number>
}

export function useProblems(): Judgement {
  const model = useModel()
  const { text } = useShown()
  const heard = useHeard()
  return useMemo(() => {
    const fromHost = heard.text === text && heard.host === 'there'
    const problems = fromHost ? heard.problems : judged(model)
    const byModule = new Map<string, number>()
    for (const { module } of problems) if (module !== null) byModule.set(module, (byModule.get(module) ?? 0) + 1)
    return { problems, by: fromHost ? 'host' : 'browser', byModule }
  }, [model, text, heard])
}

/** Has the host judge each text that is shown, while there is one. */
export function useHostsWord(): void {
  const { text } = useShown()
  const host = useHost()
  useEffect(() => {
    if (text.trim() === '' || host === 'away' || host === 'closed') return
    const superseded = new AbortController()
    const timer = setTimeout(() => void ask(text, superseded.signal), PAUSE_MS)
    return () => {
      clearTimeout(timer)
      superseded.abort()
    }
  }, [text, host])
}

async function ask(text: string, signal?: AbortSignal): Promise<Verdict> {
  const verdict = await check(text, signal)
  if (verdict.kind === 'judged') {
    const model = lens(text)
    useHeard.setState({ host: 'there', text, problems: verdict.problems.map((one) => placed(one, model.source.text)) })
  } else if (verdict.kind !== 'superseded') {
    useHeard.setState({ host: verdict.kind === 'refused' ? 'closed' : 'away', text: null, problems: [] })
  }
  return verdict
}

/** From a line and a column to a place in the text. */
export function placed(
  { line, column, end, ...rest }: Extract<Verdict, { kind: 'judged' }>['problems'][number],
  text: string,
): Problem {
  const from = offset(text, line, column)
  const to = end ? offset(text, end.line, end.column) : from
  return { ...rest, line, column, from, to: Math.max(to, from) }
}

export function offset(text: string, line: number, column: number): number {
  let at = 0
  for (let left = line; left > 1; left--) {
    const next = text.indexOf('\n', at)
    if (next < 0) return text.length
    at = next + 1
  }
  return Math.min(at + column - 1, text.length)
}

export type Validation = { valid: boolean; count: number; by: 'host' | 'browser'; refused: boolean }

/** Judges the config that is shown, now: by the host if there is one, else by what the browser knows. */
export async function validate(): Promise<Validation> {
  const { text } = shown(useEditor.getState())
  const verdict = await ask(text)
  const by = verdict.kind === 'judged' ? 'host' : 'browser'
  const problems: readonly { severity: string }[] = verdict.kind === 'judged' ? verdict.problems : judged(lens(text))
  const count = problems.filter(({ severity }) => severity === 'error').length
  return { valid: count === 0, count, by, refused: verdict.kind === 'refused' }
}
