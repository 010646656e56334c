/** What holds for all files of the pages. */
import { expect, it } from 'vitest'

const code = import.meta.glob<string>('../**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true })

/** Each has an entry of its own; what two of them need is shared. */
const APPLICATIONS = ['shop', 'console', 'admin']

it('what is shared knows no application, and no application knows another', () => {
  const wrong = Object.entries(code).flatMap(([file, text]) => {
    const own = APPLICATIONS.find((name) => file.startsWith(`../${name}/`))
    const others = APPLICATIONS.filter((name) => name !== own)
    return [...text.matchAll(/(?:from|import\(?)\s*'([^']+)'/g)]
      .map(([, target = '']) => target)
      .filter((target) => others.some((name) => target.includes(`../${name}/`)))
      .map((target) => `${file} imports ${target}`)
  })
  expect(wrong).toEqual([])
})
