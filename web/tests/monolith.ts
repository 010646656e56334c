/** The real program, started for a test: a port of its own, data and components in a folder that goes with it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

const repository = resolve(import.meta.dirname, '../..')
const binary = process.env.MILLRACE_BIN ?? join(repository, 'target/debug/millrace')
const built = join(repository, 'target/components')

const COMPONENTS = ['inventory', 'payment', 'shipping', 'notify']
/** A debug build compiles the components when it starts. */
const START_MS = 90_000

interface Settings {
  /** Products of the store; without, those of the repository. */
  products?: object[]
  environment?: Record<string, string>
}

export class Monolith {
  readonly url: string
  readonly #process: ChildProcess
  readonly #home: string

  private constructor(url: string, child: ChildProcess, home: string) {
    this.url = url
    this.#process = child
    this.#home = home
  }

  static async start({ products, environment }: Settings = {}): Promise<Monolith> {
    const home = mkdtempSync(join(tmpdir(), 'millrace-web-'))
    mkdirSync(join(home, 'components'))
    for (const name of COMPONENTS) cpSync(join(built, `${name}.wasm`), join(home, 'components', `${name}.wasm`))
    const seed = join(home, 'products.json')
    if (products) writeFileSync(seed, JSON.stringify(products))
    const child = spawn(
      binary,
      ['run', '--log-format', 'json', '--config', join(repository, 'configs/monolith.yaml')],
      {
        env: {
          ...process.env,
          LISTEN: '127.0.0.1:0',
          DATA_DIR: join(home, 'data'),
          COMPONENTS_DIR: join(home, 'components'),
          WEB_ROOT: resolve(import.meta.dirname, '../dist'),
          JWT_SECRET: 'a-secret-for-tests-that-is-long-enough-0123456789',
          RATE_LIMIT_PER_MINUTE: '1000000',
          RATE_LIMIT_BURST: '100000',
          ...(products && { PRODUCTS_SEED: seed }),
          ...environment,
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    const url = `http://${await listening(child)}`
    return new Monolith(url, child, home)
  }

  /** Puts a file of the built components in the place of a serving one, as a deploy does. */
  swap(component: string, file: string) {
    const place = join(this.#home, 'components', `${component}.wasm`)
    const found = [join(built, file), join(built, 'testing', file)].find(existsSync)
    if (!found) throw new Error(`${file} is not built: cargo xtask build --fixtures`)
    cpSync(found, `${place}.unfinished`)
    renameSync(`${place}.unfinished`, place)
  }

  async stop() {
    const ended = new Promise((done) => this.#process.once('exit', done))
    this.#process.kill('SIGKILL')
    await ended
    rmSync(this.#home, { recursive: true, force: true })
  }
}

/** Reads the log until it says where the program listens, and goes on reading so that the pipe never fills. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((found, failed) => {
    const late = setTimeout(() => failed(new Error('the program does not say where it listens')), START_MS)
    const last: string[] = []
    child.once('error', failed)
    child.once('exit', (code) => failed(new Error(`the program ended with ${code}:\n${last.join('\n')}`)))
    if (!child.stderr) return failed(new Error('the program has no log'))
    createInterface({ input: child.stderr }).on('line', (line) => {
      last.push(line)
      last.splice(0, last.length - 20)
      const address = line.match(/"message":"listening","address":"([^"]+)"/)?.[1]
      if (!address) return
      clearTimeout(late)
      found(address)
    })
  })
}
