/** An endpoint as OpenAI has it, with a model that says what a test has written down for it. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Says = string | { status: number } | 'silence'

export class ScriptedModel {
  readonly #server: Server
  readonly #script: Says[] = []
  /** What it was asked, as it was sent. */
  readonly asked: string[] = []

  private constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        this.asked.push(Buffer.concat(parts).toString())
        this.#answer(response)
      })
    })
  }

  static async start(): Promise<ScriptedModel> {
    const model = new ScriptedModel()
    await new Promise<void>((ready) => model.#server.listen(0, '127.0.0.1', ready))
    return model
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  /** What it says next, the last of it as often as it is asked; `silence` is no answer at all. */
  says(...script: Says[]): void {
    this.#script.splice(0, this.#script.length, ...script)
    this.asked.length = 0
  }

  /** Edits that it proposes next. */
  static proposes(...edits: { op: 'set' | 'append' | 'remove'; pointer: string; value?: unknown }[]): string {
    return JSON.stringify({ explanation: 'Requests may take longer from now on.', edits })
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  #answer(response: ServerResponse): void {
    const next = (this.#script.length > 1 ? this.#script.shift() : this.#script[0]) ?? { status: 500 }
    if (next === 'silence') return
    if (typeof next === 'object') {
      response.writeHead(next.status).end('{}')
      return
    }
    const choice = { message: { role: 'assistant', content: next }, finish_reason: 'stop' }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ choices: [choice], usage: { total_tokens: 7 } }))
  }
}
