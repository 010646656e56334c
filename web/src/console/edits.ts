/** Changes of a text. Positions are UTF-16 offsets into the text before the change. */

/** Puts `insert` in the place of what is between `from` and `to`. */
export interface Edit {
  from: number
  to: number
  insert: string
}

/** A gesture that cannot be made. Its message is one sentence for the person who made it. */
export class Refusal extends Error {
  override name = 'Refusal'
}

/** In the sequence of the text; several insertions at one place stay in the sequence given. Throws where two overlap or one is outside. */
export function ordered(edits: readonly Edit[], length: number): Edit[] {
  const sorted = [...edits].sort((a, b) => a.from - b.from || a.to - b.to)
  let end = 0
  for (const { from, to } of sorted) {
    if (from < end || to < from || to > length) {
      throw new RangeError(`an edit of ${from} to ${to} does not fit: accepted are ${end} to ${length}`)
    }
    end = to
  }
  return sorted
}

/** The text after the edits. */
export function applied(text: string, edits: readonly Edit[]): string {
  let result = ''
  let at = 0
  for (const { from, to, insert } of ordered(edits, text.length)) {
    result += text.slice(at, from) + insert
    at = to
  }
  return result + text.slice(at)
}

/** What takes the edits back: edits of the text after them. */
export function inverted(text: string, edits: readonly Edit[]): Edit[] {
  let shift = 0
  return ordered(edits, text.length).map(({ from, to, insert }) => {
    const inverse = { from: from + shift, to: from + shift + insert.length, insert: text.slice(from, to) }
    shift += insert.length - (to - from)
    return inverse
  })
}

/** The smallest one edit that leads from one text to another; none if they are the same. */
export function difference(before: string, after: string): Edit[] {
  if (before === after) return []
  const most = Math.min(before.length, after.length)
  let start = 0
  while (start < most && before[start] === after[start]) start++
  let end = 0
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  return [{ from: start, to: before.length - end, insert: after.slice(start, after.length - end) }]
}
