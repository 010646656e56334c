/** What holds for all files of the pages. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })

/** Name, from `src`, and text of the files with these ends. */
function texts(ends: RegExp): [string, string][] {
  return files.filter((name) => ends.test(name)).map((name) => [name, readFileSync(join(root, name), 'utf8')])
}

/** Each has an entry of its own; what two of them need is shared. */
const APPLICATIONS = ['shop', 'console', 'admin']

it('what is shared knows no application, and no application knows another', () => {
  const wrong = texts(/\.tsx?$/).flatMap(([file, text]) => {
    const own = APPLICATIONS.find((name) => file.startsWith(`${name}/`))
    const others = APPLICATIONS.filter((name) => name !== own)
    return [...text.matchAll(/(?:from|import\(?)\s*'([^']+)'/g)]
      .map(([, target = '']) => target)
      .filter((target) => others.some((name) => target.includes(`../${name}/`)))
      .map((target) => `${file} imports ${target}`)
  })
  expect(wrong).toEqual([])
})

it('a class is styled in one file, beside the component that it belongs to', () => {
  const owners = new Map<string, Set<string>>()
  for (const [file, text] of texts(/\.css$/)) {
    for (const [, selectors = ''] of text.replaceAll(/\/\*.*?\*\//gs, '').matchAll(/([^{}@;]+)\{/g)) {
      for (const selector of selectors.split(',')) {
        const first = selector.trim().match(/^[.]([\w-]+)/)?.[1]
        if (first) owners.set(first, (owners.get(first) ?? new Set()).add(file))
      }
    }
  }
  expect(owners.size).toBeGreaterThan(50)
  const shared = [...owners].filter(([, where]) => where.size > 1).map(([name, where]) => [name, ...where])
  expect(shared).toEqual([])
})
