/** What holds for the core of the console, whatever pages are made of it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const core = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name): [string, string] => [name, readFileSync(join(import.meta.dirname, name), 'utf8')])

const importsOf = (text: string) => [...text.matchAll(/from '([^']+)'/g)].map(([, target = '']) => target)

it('knows no page: it imports itself and the reader of YAML', () => {
  expect(core.length).toBeGreaterThan(15)
  const others = core.flatMap(([name, text]) =>
    importsOf(text)
      .filter((target) => target !== 'yaml' && !/^\.\/\w+\.ts$/.test(target))
      .map((target) => `${name}: ${target}`),
  )
  expect(others).toEqual([])
})

it('prints no YAML: what is written is the text with a few edits', () => {
  const printing = core.filter(([, text]) =>
    /\bstringify\b(?!\()|YAML\.stringify|[Dd]ocument\.toString|\bnew Document\b/.test(text),
  )
  expect(printing.map(([name]) => name)).toEqual([])
})

it('has no imports in a circle', () => {
  const imports = new Map(core.map(([name, text]) => [name, importsOf(text).map((target) => target.replace('./', ''))]))
  const circle = (name: string, above: string[]): string[] => {
    if (above.includes(name)) return [[...above.slice(above.indexOf(name)), name].join(' > ')]
    return (imports.get(name) ?? []).flatMap((next) => circle(next, [...above, name]))
  }
  expect([...imports.keys()].flatMap((name) => circle(name, []))).toEqual([])
})
