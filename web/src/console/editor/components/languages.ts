/** What components are written in: as `millrace new` names it, and as people do. */
export const LANGUAGES: readonly (readonly [name: string, label: string])[] = [
  ['rust', 'Rust'],
  ['javascript', 'JavaScript'],
  ['typescript', 'TypeScript'],
  ['python', 'Python'],
  ['go', 'Go'],
  ['c', 'C'],
]

/** Characters of a name. */
const MOST = 40

/** What is wrong with a name, as `millrace new` would say; nothing if it is good. Words of the languages are known there only. */
export function wrongName(name: string): string | null {
  if (name.length <= MOST && /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) return null
  return `A name has 1 to ${MOST} lower-case letters, digits and single hyphens between them, and begins with a letter, for example fraud-check.`
}
