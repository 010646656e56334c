/** One process of the host, with a config of the repository. */
import { execFile } from 'node:child_process'
import { isAbsolute, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Guarded } from './guarded'
import { freePort } from './ports'

export const repository = resolve(import.meta.dirname, '../../..')

export const binary = process.env.MILLRACE_BIN ?? join(repository, 'target/debug/millrace')

/** A debug build compiles the components when it starts. */
const START_MS = 240_000

export class Program {
  /** `127.0.0.1:` and a port that was free; it stays the same when the program is started again. */
  readonly address: string
  readonly #config: string
  readonly #environment: Record<string, string>
  #process: Guarded

  private constructor(config: string, environment: Record<string, string>, address: string, process: Guarded) {
    this.#config = config
    this.#environment = environment
    this.address = address
    this.#process = process
  }

  /** `config` is the name of a file in configs/, or the path of another one. */
  static async start(config: string, environment: Record<string, string>): Promise<Program> {
    const listeners = { OPERATOR_LISTEN: `127.0.0.1:${await freePort()}` }
    const { address, process } = await launch(config, {
      ...environment,
      ...listeners,
      LISTEN: `127.0.0.1:${await freePort()}`,
    })
    return new Program(config, { ...environment, ...listeners }, address, process)
  }

  get url(): string {
    return `http://${this.address}`
  }

  /** For those who run the process. */
  get operatorUrl(): string {
    return `http://${this.#environment.OPERATOR_LISTEN}`
  }

  /** The file of its config. */
  get config(): string {
    return file(this.#config)
  }

  get log(): string {
    return `${this.#config}:\n${this.#process.log}`
  }

  kill(): Promise<void> {
    return this.#process.kill()
  }

  /** A command beside the running process, such as `users grant`, with its config; gives what it prints. */
  async command(...words: string[]): Promise<string> {
    const [group = '', verb = '', ...rest] = words
    const config = ['--config', file(this.#config)]
    const { stdout } = await promisify(execFile)(binary, [group, verb, ...config, ...rest], {
      env: { ...process.env, ...this.#environment },
    })
    return stdout
  }

  /** With what it had, where it was. */
  async startAgain(changes: Record<string, string> = {}) {
    const { process } = await launch(this.#config, {
      ...this.#environment,
      ...changes,
      LISTEN: this.address,
    })
    this.#process = process
  }
}

/** Starts the host, waits until its log says where it listens, and then until it says that it is ready. */
async function launch(config: string, environment: Record<string, string>) {
  let found: (address: string) => void = () => {}
  const address = new Promise<string>((done) => {
    found = done
  })
  const process = new Guarded(binary, ['run', '--log-format', 'json', '--config', file(config)], {
    environment,
    onLine: (line) => {
      const listening = line.match(/"message":"listening","address":"([^"]+)"/)?.[1]
      if (listening) found(listening)
    },
  })
  const where = await Promise.race([
    address,
    process.ended.then((code) => Promise.reject(new Error(`${config} ended with ${code}:\n${process.log}`))),
    late(`${config} does not say where it listens`, () => process.log),
  ])
  await until(async () => (await fetch(`http://${where}/readyz`)).ok, START_MS, `${config} is not ready`)
  return { address: where, process }
}

function file(config: string): string {
  return isAbsolute(config) ? config : join(repository, `configs/${config}.yaml`)
}

function late(what: string, log: () => string): Promise<never> {
  return new Promise((_, failed) => {
    setTimeout(() => failed(new Error(`${what}:\n${log()}`)), START_MS).unref()
  })
}

/** Asks again and again; an answer that does not come is one that is no. */
export async function until(isSo: () => Promise<boolean>, limitMs: number, otherwise: string) {
  const deadline = Date.now() + limitMs
  while (!(await isSo().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(otherwise)
    await new Promise((again) => setTimeout(again, 50))
  }
}
