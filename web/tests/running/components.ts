/** The components of one store: a copy of its own, so that a swap disturbs nobody else. */
import { cpSync, existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from './program'

const built = process.env.COMPONENTS_DIR ?? join(repository, 'target/components')

const NAMES = ['inventory', 'payment', 'shipping', 'notify']

export class Components {
  readonly folder: string

  constructor(home: string) {
    this.folder = join(home, 'components')
    mkdirSync(this.folder)
    for (const name of NAMES) cpSync(join(built, `${name}.wasm`), join(this.folder, `${name}.wasm`))
  }

  /** Puts a file of the built components in the place of a serving one, as a deploy does. */
  swap(component: string, file: string) {
    const place = join(this.folder, `${component}.wasm`)
    const found = [join(built, file), join(built, 'testing', file)].find(existsSync)
    if (!found) throw new Error(`${file} is not built: cargo xtask build --fixtures`)
    cpSync(found, `${place}.unfinished`)
    renameSync(`${place}.unfinished`, place)
  }
}
