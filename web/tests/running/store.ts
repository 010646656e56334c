/** A store that runs for a test: in one process, or in three with a Kafka. Tests see no difference but the one they ask for. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { give, keep } from './compiled'
import { Components } from './components'
import { Kafka } from './kafka'
import { Program, repository } from './program'

export type Shape = 'monolith' | 'stack'

export interface Settings {
  /** Products of the store; without, those of the repository. */
  products?: object[]
  /** Variables that the configs read. */
  environment?: Record<string, string>
  /** The config is a copy in a folder of the store, which the process may write. */
  ownConfig?: boolean
}

/** The parts of the stack; the monolith is all of them at once. */
export type Service = 'gateway' | 'users-products' | 'orders'

export interface RunningStore {
  /** Where a browser goes. */
  readonly url: string
  /** Puts a built component in the place of a serving one. */
  swap(component: string, file: string): void
  /** The process that does this. */
  service(name: Service): Program
  /** What the programs said last. */
  log(): string
  stop(): Promise<void>
}

export function startStore(shape: Shape, settings: Settings = {}): Promise<RunningStore> {
  return shape === 'monolith' ? startMonolith(settings) : startStack(settings)
}

async function startMonolith(settings: Settings): Promise<RunningStore> {
  const home = new Home(settings)
  const program = await home.start('monolith')
  return home.store(program.url, () => program)
}

async function startStack(settings: Settings): Promise<RunningStore> {
  const home = new Home(settings)
  const [kafka, usersProducts] = await Promise.all([home.kafka(), home.start('users-products')])
  const orders = await home.start('orders', { CATALOGUE_URL: usersProducts.url, KAFKA_BROKERS: kafka.address })
  const gateway = await home.start('gateway', { USERS_PRODUCTS_URL: usersProducts.url, ORDERS_URL: orders.url })
  const services = { gateway, orders, 'users-products': usersProducts }
  return home.store(gateway.url, (name) => services[name])
}

/** The folder of one store, what runs in it, and what all of its programs are told. */
class Home {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-web-'))
  readonly #components = new Components(this.#folder)
  readonly #environment: Record<string, string>
  readonly #running: (Program | Kafka)[] = []
  /** Where the configs are copied to; without, those of the repository are used. */
  readonly #configs: string | undefined

  constructor({ products, environment, ownConfig }: Settings) {
    const seed = join(this.#folder, 'products.json')
    if (products) writeFileSync(seed, JSON.stringify(products))
    this.#configs = ownConfig ? join(this.#folder, 'configs') : undefined
    this.#environment = {
      COMPONENTS_DIR: this.#components.folder,
      WEB_ROOT: resolve(import.meta.dirname, '../../dist'),
      JWT_SECRET: 'a-secret-for-tests-that-is-long-enough-0123456789',
      INTERNAL_SECRET: 'another-secret-for-tests-that-is-long-enough-0123456789',
      OPERATOR_WRITES: 'true',
      RATE_LIMIT_PER_MINUTE: '1000000',
      RATE_LIMIT_BURST: '100000',
      ...(ownConfig && { PRODUCTS_SEED: join(repository, 'seed/products.json') }),
      ...(products && { PRODUCTS_SEED: seed }),
      ...environment,
    }
  }

  async start(config: string, addresses: Record<string, string> = {}): Promise<Program> {
    const data = join(this.#folder, config)
    give(data)
    const environment = { DATA_DIR: data, ...this.#environment, ...addresses }
    const program = await this.#kept(Program.start(this.#own(config), environment))
    keep(data)
    return program
  }

  #own(config: string): string {
    if (!this.#configs) return config
    const place = join(this.#configs, `${config}.yaml`)
    mkdirSync(this.#configs, { recursive: true })
    copyFileSync(join(repository, `configs/${config}.yaml`), place)
    return place
  }

  kafka(): Promise<Kafka> {
    return this.#kept(Kafka.start(this.#folder))
  }

  /** What did not start takes the others with it. */
  async #kept<T extends Program | Kafka>(starting: Promise<T>): Promise<T> {
    try {
      const started = await starting
      this.#running.push(started)
      return started
    } catch (problem) {
      await this.#stop()
      throw problem
    }
  }

  store(url: string, service: (name: Service) => Program): RunningStore {
    return {
      url,
      service,
      swap: (component, file) => this.#components.swap(component, file),
      log: () => this.#running.map((each) => each.log).join('\n\n'),
      stop: () => this.#stop(),
    }
  }

  async #stop() {
    await Promise.all(this.#running.map((each) => each.kill()))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
