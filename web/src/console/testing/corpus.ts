/** Texts to try the editor's core on: every YAML file of this repository, and generated ones. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'

export const repository = resolve(import.meta.dirname, '../../../..')
/** Folders that are made, not written. */
const MADE = new Set(['node_modules', 'target', 'dist', '.git', 'data', 'test-results'])

function yamlFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return MADE.has(entry.name) ? [] : yamlFiles(path)
    return /\.ya?ml$/.test(entry.name) ? [path] : []
  })
}

/** Name, from the top of the repository, and text of every YAML file. */
export function repositoryFiles(): [string, string][] {
  return yamlFiles(repository)
    .sort()
    .map((path) => [path.slice(repository.length + 1), readFileSync(path, 'utf8')])
}

/** Text of a file of this repository. */
export function repositoryFile(path: string): string {
  return readFileSync(join(repository, path), 'utf8')
}

/** Names of what is in a folder of this repository. */
export function repositoryFolder(path: string): string[] {
  return readdirSync(join(repository, path))
}

/** The same text as other editors would leave it. */
export function variants(text: string): [string, string][] {
  const windows = text.replaceAll(/\r?\n/g, '\r\n')
  return [
    ['as it is', text],
    ['with CRLF', windows],
    ['with a byte order mark', `\uFEFF${text}`],
    ['with both', `\uFEFF${windows}`],
    ['without its last line break', text.replace(/\r?\n$/, '')],
  ]
}

/** A config of 500 modules, as large as one gets: 2,800 lines and more, with comments, routes and a machine. */
export function largeConfig(): string {
  const modules = Array.from({ length: 500 }, (_, index) => {
    const depends = index === 0 ? '' : `    dependsOn: [module-${index - 1}, module-${Math.floor(index / 2)}]\n`
    const comment = index % 5 === 0 ? `  # Part ${index / 5}: what it is for, and why it is there.\n` : ''
    return `${comment}  - name: module-${index}\n    type: health.checker\n    config:\n      description: "Number ${index}"\n${depends}`
  })
  const routes = Array.from({ length: 90 }, (_, index) => {
    return `      - method: GET\n        path: /api/things-${index}\n        handler: module-${index}\n        middlewares: [module-1, module-2]\n`
  })
  return `modules:\n${modules.join('\n')}\nworkflows:\n  http:\n    router: module-3\n    server: module-4\n    routes:\n${routes.join('')}`
}

/** How many generated texts are tried. `YAML_RUNS=5000` is the long run. */
export const RUNS = Number(process.env.YAML_RUNS ?? 200)

/** Numbers from 0 to `below` that follow from a seed. */
export type Dice = (below: number) => number

export function dice(seed: number): Dice {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) % below
  }
}

const WORDS = [
  'order',
  'payment-api',
  'café',
  '😀 tray',
  'a: b',
  'x #y',
  '- z',
  '',
  ' lead',
  'true',
  '12',
  "it's",
  '"q"',
  ['$', '{A:-b}'].join(''),
  '#no',
  'a\nb\n',
  'a\n\n  b',
  '~',
  '0x1F',
  '[x]',
  '{y',
  'tab\there',
  '*star',
  '&and',
  '%',
  '@at',
  'a,b',
  'yes',
  '.5',
  '1e3',
  'line\r\n',
  '\u0007',
]

function single(roll: Dice): string | number | boolean | null {
  switch (roll(8)) {
    case 0:
      return roll(2000) - 1000
    case 1:
      return roll(2) === 0
    case 2:
      return roll(3) === 0 ? null : roll(100) / 4
    default:
      return WORDS[roll(WORDS.length)] ?? ''
  }
}

/** Any value that a gesture may write. */
export function someValue(roll: Dice, depth = 2): never {
  const kind = depth > 0 ? roll(6) : 5
  if (kind === 0) return Array.from({ length: roll(4) }, () => someValue(roll, depth - 1)) as never
  if (kind === 1) {
    return Object.fromEntries(Array.from({ length: roll(4) }, (_, i) => [`k${i}`, someValue(roll, depth - 1)])) as never
  }
  return single(roll) as never
}

/** A single value that a gesture may write. */
export const someSingle = single

/** Writes a text as no printer would: every value in one of the ways that YAML has for it. */
class Scribe {
  readonly #roll: Dice
  readonly #step: number
  readonly #indented: boolean
  readonly #aliases: boolean
  #anchors = 0
  #keys = 0

  constructor(roll: Dice, aliases: boolean) {
    this.#roll = roll
    this.#step = [2, 2, 4, 3][roll(4)] ?? 2
    this.#indented = roll(3) > 0
    this.#aliases = aliases
  }

  file(): string {
    const body = this.#map(0, 3)
    const start = ['', '', '---\n', '# head\n', '\n\n', '%YAML 1.2\n---\n'][this.#roll(6)] ?? ''
    const end = ['', '', '\n', '# tail\n', '  # deeper\n', '...\n'][this.#roll(6)] ?? ''
    let text = start + body + end
    if (this.#roll(4) === 0) text = text.replace(/\n$/, '')
    if (this.#roll(4) === 0) text = text.replaceAll('\n', '\r\n')
    return this.#roll(8) === 0 ? `\uFEFF${text}` : text
  }

  #chance(of: number): boolean {
    return this.#roll(of) === 0
  }

  #above(column: number): string {
    const pad = ' '.repeat(column)
    const options = [
      '\n',
      `${pad}# above\n`,
      `${pad}# --- part ---\n`,
      `${pad}#\ttab 😀\n${pad}# two\n`,
      `${pad}   # deeper\n`,
    ]
    return this.#chance(4) ? (options[this.#roll(options.length)] ?? '') : ''
  }

  #end(): string {
    return this.#chance(6) ? ' # note: "x"\n' : '\n'
  }

  #key(): string {
    this.#keys++
    if (this.#chance(15)) return `"key ${this.#keys}"`
    return this.#chance(20) ? `'it''s ${this.#keys}'` : `key${this.#keys}`
  }

  #map(column: number, depth: number): string {
    const pad = ' '.repeat(column)
    let text = ''
    for (let count = this.#roll(4) + 1; count > 0; count--) {
      text += `${this.#above(column)}${pad}${this.#key()}:${this.#value(column, depth - 1, true)}`
    }
    return text
  }

  #list(column: number, depth: number): string {
    const pad = ' '.repeat(column)
    let text = ''
    for (let count = this.#roll(4) + 1; count > 0; count--) {
      text += `${this.#above(column)}${pad}-${this.#value(column, depth - 1, false)}`
    }
    return text
  }

  /** After a colon or a dash that is at `column`, to the end of the last line. */
  #value(column: number, depth: number, ofKey: boolean): string {
    const anchor = this.#aliases && this.#chance(12) ? ` &a${this.#anchors++}` : ''
    if (this.#aliases && this.#anchors > 0 && !anchor && this.#chance(12))
      return ` *a${this.#roll(this.#anchors)}${this.#end()}`
    if (depth > 0 && this.#chance(3)) return this.#nested(column, depth, ofKey, anchor)
    if (this.#chance(8)) return this.#block(column)
    if (this.#chance(6)) return `${anchor} ${this.#flow(2)}${this.#end()}`
    if (this.#chance(12)) return this.#end()
    return `${anchor} ${this.#single(false)}${this.#end()}`
  }

  #nested(column: number, depth: number, ofKey: boolean, anchor: string): string {
    const inside = column + this.#step
    if (ofKey && this.#chance(2)) return `${anchor}${this.#end()}${this.#list(this.#indented ? inside : column, depth)}`
    if (ofKey || this.#chance(3)) return `${anchor}${this.#end()}${this.#map(inside, depth)}`
    const text = this.#chance(4) ? this.#list(column + 2, depth) : this.#map(column + 2, depth)
    return anchor || !/^ *[^ #\n]/.test(text) ? `${anchor}\n${text}` : ` ${text.slice(column + 2)}`
  }

  #block(column: number): string {
    const pad = ' '.repeat(column + this.#step)
    const header = ['|', '|-', '|+', '>', '>-'][this.#roll(5)] ?? '|'
    const note = this.#chance(5) ? ' # of a block' : ''
    const lines = Array.from({ length: this.#roll(3) + 1 }, (_, i) =>
      i > 0 && this.#chance(4) ? '' : `${pad}# line ${i}`,
    )
    return ` ${header}${note}\n${[...lines, `${pad}last`].join('\n')}\n${this.#chance(4) ? '\n' : ''}`
  }

  #flow(depth: number): string {
    if (depth === 0 || this.#chance(3)) return this.#single(true)
    const count = this.#roll(4)
    const last = count > 0 && this.#chance(6) ? ',' : ''
    const space = this.#chance(3) ? ' ' : ''
    const map = this.#chance(2)
    const parts = Array.from({ length: count }, () => (map ? `${this.#key()}: ` : '') + this.#flow(depth - 1))
    const text = `${space}${parts.join(this.#chance(3) ? ',' : ', ')}${last}${space}`
    return map ? `{${text}}` : `[${text}]`
  }

  #single(flow: boolean): string {
    const value = single(this.#roll)
    if (typeof value !== 'string') return String(value)
    if (/^[\w./-]+$/.test(value) && !value.startsWith('-') && this.#chance(2)) return value
    const printable = !value.includes('\n') && !value.includes('\u0007')
    if (printable && !flow && this.#chance(3)) return `'${value.replaceAll("'", "''")}'`
    return JSON.stringify(value)
  }
}

/** A generated text; the same seed gives the same one. */
export function generated(seed: number, { aliases = true } = {}): string {
  return new Scribe(dice(seed), aliases).file()
}

/** Seeds of generated texts. */
export const seeds = fc.integer({ min: 0, max: 0x7fffffff })
