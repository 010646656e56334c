/** A network cable between a browser and a store: it can be cut, under whatever is on its way, and mended. */
import { connect, createServer, type Server, type Socket } from 'node:net'

export class Cable {
  readonly url: string
  readonly #server: Server
  readonly #sockets: Set<Socket>
  #isCut = false

  private constructor(url: string, server: Server, sockets: Set<Socket>) {
    this.url = url
    this.#server = server
    this.#sockets = sockets
  }

  /** @param to the address of a store, as `http://127.0.0.1:8080` */
  static async lay(to: string): Promise<Cable> {
    const { hostname, port } = new URL(to)
    const sockets = new Set<Socket>()
    const server = createServer()
    const own = await new Promise<number>((found) => {
      server.listen(0, '127.0.0.1', () => found((server.address() as { port: number }).port))
    })
    const cable = new Cable(`http://127.0.0.1:${own}`, server, sockets)
    server.on('connection', (near) => {
      if (cable.#isCut) return near.destroy()
      const far = connect(Number(port), hostname)
      near.pipe(far).pipe(near)
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(one)
        one.on('error', () => other.destroy())
        one.on('close', () => {
          sockets.delete(one)
          other.destroy()
        })
      }
    })
    return cable
  }

  cut() {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend() {
    this.#isCut = false
  }

  async remove() {
    this.cut()
    await new Promise((done) => this.#server.close(done))
  }
}
