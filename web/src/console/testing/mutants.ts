/** Configs with one thing wrong, as hands make them: something left out, two values swapped, a slip of a finger, a value of another kind. */
import { isScalar } from 'yaml'
import { lens, type Model } from '../lens.ts'
import type { Path } from '../source.ts'
import { dice } from './corpus.ts'

export interface Mutant {
  kind: 'drop' | 'swap' | 'typo' | 'type'
  path: Path
  text: string
}

const KINDS = ['drop', 'swap', 'typo', 'type'] as const
const OTHERS = ['[1, 2]', '{a: 1}', '17', 'true', '""', '-3', 'null', '"17"']

/** The mutant of that number of a config. */
export function mutant(text: string, seed: number): Mutant {
  const model = lens(text)
  const roll = dice(seed)
  const paths = pathsOf(model)
  for (;;) {
    const kind = KINDS[seed % KINDS.length] ?? 'drop'
    const path = paths[roll(paths.length)] ?? []
    const made = MAKERS[kind]({ model, path, paths, roll })
    if (made !== null && made !== text) return { kind, path, text: made }
  }
}

function pathsOf({ source }: Model): Path[] {
  const paths: Path[] = []
  const look = (value: unknown, path: Path): void => {
    if (path.length > 0) paths.push(path)
    if (value === null || typeof value !== 'object') return
    for (const [key, inner] of Object.entries(value)) look(inner, [...path, Array.isArray(value) ? Number(key) : key])
  }
  look(source.value, [])
  return paths.filter((path) => path.length > 1)
}

type Makers = Readonly<Record<Mutant['kind'], (around: Around) => string | null>>
interface Around {
  model: Model
  path: Path
  paths: readonly Path[]
  roll: (below: number) => number
}

function put(text: string, range: readonly number[], insert: string): string {
  return text.slice(0, range[0] ?? 0) + insert + text.slice(range[1] ?? 0)
}

/** Of a single value, where it is written. */
function rangeAt({ source }: Model, path: Path): [number, number] | null {
  const value = source.entry(path)?.value
  return isScalar(value) && value.range ? [value.range[0], value.range[1]] : null
}

const MAKERS: Makers = {
  drop: ({ model: { source }, path }) => {
    const entry = source.entry(path)
    if (!entry) return null
    const line = source.text.lastIndexOf('\n', entry.from) + 1
    return source.text.slice(line, entry.from).trim() === '' ? put(source.text, [line, entry.to], '') : null
  },
  typo: ({ model, path, roll }) => {
    const { source } = model
    const key = source.entry(path)?.key?.range
    const at = roll(3) === 0 && key ? key : rangeAt(model, path)
    const word = at ? source.text.slice(at[0], at[1]) : ''
    if (!at || word.length < 3) return null
    const letter = 1 + roll(word.length - 2)
    return put(source.text, at, word.slice(0, letter) + word.slice(letter + 1))
  },
  type: ({ model, path, roll }) => {
    const range = rangeAt(model, path)
    return range && put(model.source.text, range, OTHERS[roll(OTHERS.length)] ?? '')
  },
  swap: ({ model, path, paths, roll }) => {
    const [one, other] = [rangeAt(model, path), rangeAt(model, paths[roll(paths.length)] ?? [])]
    if (!one || !other || one[0] === other[0]) return null
    const { text } = model.source
    const [first, second] = one[0] < other[0] ? [one, other] : [other, one]
    const words = [text.slice(...first), text.slice(...second)]
    return put(put(text, second, words[0] ?? ''), first, words[1] ?? '')
  },
}
