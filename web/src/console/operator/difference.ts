/** How two texts differ, line by line, and how two changes of one text are put together. */
import { diffWordsWithSpace, structuredPatch } from 'diff'
import { diff3Merge } from 'node-diff3'

/** A line of a difference. What of it is new against the line that it replaces, or was taken from it, is `isOwn`. */
export interface Line {
  kind: 'same' | 'gone' | 'new'
  /** Numbers in the old and in the new text, from 1. */
  old: number | null
  new: number | null
  words: readonly { text: string; isOwn: boolean }[]
}

/** Lines that belong together, with some around them. */
export type Hunk = readonly Line[]

const AROUND = 3
const SIGNS = { ' ': 'same', '-': 'gone', '+': 'new' } as const

export function hunksOf(from: string, to: string): Hunk[] {
  const { hunks } = structuredPatch('', '', from, to, '', '', { context: AROUND })
  return hunks.map(({ oldStart, newStart, lines }) => {
    let [oldAt, newAt] = [oldStart, newStart]
    const own = lines.flatMap((line): Line[] => {
      const kind = SIGNS[line[0] as keyof typeof SIGNS]
      // That a last line has no end is no line.
      if (!kind) return []
      const words = [{ text: line.slice(1).replace(/\r$/, ''), isOwn: false }]
      return [{ kind, old: kind === 'new' ? null : oldAt++, new: kind === 'gone' ? null : newAt++, words }]
    })
    return wordByWord(own)
  })
}

/** Where as many lines come as go, each is held against the one in its place. */
function wordByWord(lines: Line[]): Line[] {
  const result = [...lines]
  for (let at = 0; at < lines.length; ) {
    const gone = run(lines, at, 'gone')
    const come = run(lines, at + gone, 'new')
    for (let each = 0; gone === come && each < gone; each++) {
      const [old, now] = [lines[at + each], lines[at + gone + each]]
      if (!old || !now) continue
      const parts = diffWordsWithSpace(textOf(old), textOf(now))
      const side = (
        isOther: (part: (typeof parts)[number]) => boolean,
        isOwn: (part: (typeof parts)[number]) => boolean,
      ) => parts.filter((part) => !isOther(part)).map((part) => ({ text: part.value, isOwn: isOwn(part) }))
      result[at + each] = {
        ...old,
        words: side(
          ({ added }) => added,
          ({ removed }) => removed,
        ),
      }
      result[at + gone + each] = {
        ...now,
        words: side(
          ({ removed }) => removed,
          ({ added }) => added,
        ),
      }
    }
    at += Math.max(gone + come, 1)
  }
  return result
}

function run(lines: readonly Line[], from: number, kind: Line['kind']): number {
  let length = 0
  while (lines[from + length]?.kind === kind) length += 1
  return length
}

export function textOf({ words }: Line): string {
  return words.map(({ text }) => text).join('')
}

/** How many lines came and went. */
export function counted(hunks: readonly Hunk[]): { gone: number; come: number } {
  const lines = hunks.flat()
  const count = (kind: Line['kind']) => lines.filter((line) => line.kind === kind).length
  return { gone: count('gone'), come: count('new') }
}

/** A stretch of a text that was changed twice: as it came out, or as a question. */
export type Piece = { kind: 'settled'; text: string } | { kind: 'clash'; base: string; mine: string; theirs: string }

export type Side = 'mine' | 'theirs'

/** Puts two changes of one text together. Where both have changed the same lines otherwise, somebody has to choose. */
export function pieces(base: string, mine: string, theirs: string): Piece[] {
  return diff3Merge(linesOf(mine), linesOf(base), linesOf(theirs), { excludeFalseConflicts: true }).map(
    (region): Piece =>
      region.ok
        ? { kind: 'settled', text: region.ok.join('') }
        : {
            kind: 'clash',
            base: (region.conflict?.o ?? []).join(''),
            mine: (region.conflict?.a ?? []).join(''),
            theirs: (region.conflict?.b ?? []).join(''),
          },
  )
}

/** The text, with the side that was chosen for each clash, in their sequence. */
export function together(parts: readonly Piece[], chosen: readonly Side[]): string {
  let clash = 0
  return parts.map((piece) => (piece.kind === 'settled' ? piece.text : piece[chosen[clash++] ?? 'theirs'])).join('')
}

/** Each with its end, so that together they are the text, byte for byte. */
function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/)
}
