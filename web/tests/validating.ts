/** What `millrace validate` says of texts, without a page. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { told } from '../src/console/editor/host'
import type { Problem } from '../src/console/editor/judge'
import { placed } from '../src/console/editor/problems'
import { binary, repository } from './running/program'

export class Validator {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-validating-'))
  #files = 0

  constructor() {
    mkdirSync(join(this.#folder, 'web'))
    // They are there, and not looked into.
    for (const name of ['inventory', 'payment', 'shipping', 'notify'])
      writeFileSync(join(this.#folder, `${name}.wasm`), '')
  }

  /** The problems, as the program tells them. */
  async verdict(text: string): Promise<unknown[]> {
    this.#files += 1
    const file = join(this.#folder, `config-${this.#files}.yaml`)
    writeFileSync(file, text)
    const env = {
      ...process.env,
      JWT_SECRET: 'a-secret-of-more-than-32-bytes-for-tests',
      INTERNAL_SECRET: 'another-secret-of-more-than-32-bytes',
      COMPONENTS_DIR: this.#folder,
      PRODUCTS_SEED: join(repository, 'seed/products.json'),
      WEB_ROOT: join(this.#folder, 'web'),
    }
    const output = await new Promise<string>((resolve) => {
      const words = ['validate', '--without-components', '--format', 'json', file]
      // It ends with an error where there are problems, and tells them all the same.
      execFile(binary, words, { env, encoding: 'utf8', maxBuffer: 1 << 24 }, (_, stdout) => resolve(stdout))
    })
    rmSync(file)
    return JSON.parse(output).problems
  }

  /** The same, as the editor shows them. */
  async problems(text: string): Promise<Problem[]> {
    return (await this.verdict(text)).map((one) => placed(told(one), text))
  }

  end(): void {
    rmSync(this.#folder, { recursive: true })
  }
}
