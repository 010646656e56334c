import { createServer } from 'node:net'

/** Below the ports that a system gives to connections: whoever has one may be gone for a while and find it free. */
const [FIRST, COUNT] = [15_000, 17_000]

/** A port of this machine on which nobody listens, and which no connection will take. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const server = createServer()
    server.once('error', () => answer(false))
    server.listen(port, '127.0.0.1', () => server.close(() => answer(true)))
  })
}
