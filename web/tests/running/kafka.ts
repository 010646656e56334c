/** A real Kafka of a test's own, on a free port. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { Guarded } from './guarded'
import { freePort } from './ports'
import { repository, until } from './program'

const libs = join(repository, 'target/kafka/libs')
const sources = join(repository, 'xtask/kafka')

const READY_MS = 240_000
const ANSWER_MS = 2_000
/** Sixteen bytes in base64, which the brokers of a cluster agree on; this one is alone. */
const CLUSTER = 'bWlsbHJhY2UtdGVzdC1rYQ'

export class Kafka {
  /** `host:port`. */
  readonly address: string
  readonly #folder: string
  readonly #process: Guarded

  private constructor(address: string, folder: string, process: Guarded) {
    this.address = address
    this.#folder = folder
    this.#process = process
  }

  static async start(home: string): Promise<Kafka> {
    if (!existsSync(libs)) throw new Error("Kafka's jars are missing: cargo xtask kafka --prepare")
    const folder = join(home, 'kafka')
    mkdirSync(folder)
    const [port, controller] = [await freePort(), await freePort()]
    const properties = join(folder, 'server.properties')
    writeFileSync(
      properties,
      [
        readFileSync(join(sources, 'server.properties'), 'utf8'),
        `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
        `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
        `controller.quorum.bootstrap.servers=127.0.0.1:${controller}`,
        `log.dirs=${join(folder, 'topics')}`,
      ].join('\n'),
    )
    const format = ['kafka.tools.StorageTool', 'format', '--standalone', '--cluster-id', CLUSTER, '--config']
    execFileSync('java', [...java(folder), ...format, properties], { stdio: 'pipe' })
    const kafka = new Kafka(
      `127.0.0.1:${port}`,
      folder,
      new Guarded('java', [...java(folder), 'kafka.Kafka', properties]),
    )
    await until(() => knowsItself(port), READY_MS, 'Kafka does not answer').catch(async (problem) => {
      await kafka.kill()
      throw new Error(`${problem}:\n${kafka.log}`)
    })
    return kafka
  }

  get log(): string {
    const file = join(this.#folder, 'broker.log')
    return `kafka:\n${existsSync(file) ? readFileSync(file, 'utf8') : this.#process.log}`
  }

  kill(): Promise<void> {
    return this.#process.kill()
  }
}

function java(folder: string): string[] {
  return [
    '-Xmx384m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    // Its native libraries are unpacked there, and a broker that is killed does not tidy up.
    `-Djava.io.tmpdir=${folder}`,
    `-Dmillrace.kafka.log=${join(folder, 'broker.log')}`,
    `-Dlog4j2.configurationFile=${join(sources, 'log4j2.properties')}`,
    '-cp',
    join(libs, '*'),
  ]
}

/** Asks for the metadata (version 1) of no topic: a broker that is ready names itself. */
const METADATA = Buffer.from([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0])

/** Whether a broker is there that knows itself to be part of a cluster. */
function knowsItself(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(METADATA))
    let received = Buffer.alloc(0)
    const end = (isReady: boolean) => {
      socket.destroy()
      answer(isReady)
    }
    socket.setTimeout(ANSWER_MS, () => end(false))
    socket.on('error', () => end(false))
    socket.on('close', () => end(false))
    socket.on('data', (part) => {
      received = Buffer.concat([received, part])
      // Length, correlation, then how many brokers there are.
      if (received.length >= 12) end(received.readInt32BE(8) > 0)
    })
  })
}
