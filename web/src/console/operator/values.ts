/** What a field of an instance holds, as the pages write it. */
import type { FieldValue } from './api'

/** Letters of a value that are shown in a line. */
const LETTERS = 80

const WORDS: Readonly<Record<string, string>> = {
  absent: 'not there any more',
  hidden: '[hidden]',
  left_out: '[not kept]',
}

/** In a line, and as a whole. */
export function written({ is, value }: FieldValue): { text: string; whole: string } {
  const whole = WORDS[is] ?? JSON.stringify(value)
  const letters = [...whole]
  return { text: letters.length > LETTERS ? `${letters.slice(0, LETTERS).join('')}…` : whole, whole }
}
