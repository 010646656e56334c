/** Compiled components, shared by the stores of one run: compiling them takes a second of the processor, a copy some milliseconds. */
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Playwright empties this folder when a run begins. */
const results = resolve(import.meta.dirname, '../../test-results')
const shared = join(results, 'compiled')
const FOLDER = 'components-cache'
/** The key, and the code that it is signed with; not the files by which a store remembers what served. */
const PARTS = ['compiled.key', 'compiled']

/** Puts what an earlier store has compiled into the data folder of one that has not run yet. */
export function give(data: string) {
  if (existsSync(shared) && !existsSync(join(data, FOLDER))) copy(shared, join(data, FOLDER))
}

/** Shares what a store of all components has compiled, once. */
export function keep(data: string) {
  if (existsSync(shared) || !existsSync(join(data, FOLDER, 'compiled'))) return
  const part = join(results, `compiled-${process.pid}`)
  copy(join(data, FOLDER), part)
  try {
    renameSync(part, shared)
  } catch {
    // Another has shared the same.
    rmSync(part, { recursive: true, force: true })
  }
}

function copy(from: string, to: string) {
  mkdirSync(to, { recursive: true, mode: 0o700 })
  for (const part of PARTS) cpSync(join(from, part), join(to, part), { recursive: true })
}
