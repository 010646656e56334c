/** The commands that do in a terminal what the pages do. */
import { FILTERS, type Filters } from './api'

/** A word as a shell reads it back. */
export function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

export function command(...words: readonly string[]): string {
  return ['millrace', ...words.map(word)].join(' ')
}

/** What filters are as options: `--state paying --attention`. */
export function options(filters: Filters): string[] {
  return FILTERS.filter((name) => filters[name] !== '').flatMap((name) => {
    const option = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    if (name !== 'attention' && name !== 'held') return [option, filters[name]]
    return filters[name] === 'true' ? [option] : []
  })
}

/** Where a reason goes that is not written yet. */
export const WHY = '...'
