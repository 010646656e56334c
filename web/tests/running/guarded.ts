/** Child processes that end when the tests do, in whatever way those end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * The shell keeps the child; a line on its input says with which signal the child ends, and so does the end of that input, which
 * comes even when nobody is left to say anything.
 */
const GUARD = `"$@" & child=$!
exec 3<&0
(read -r how <&3; kill -"\${how:-KILL}" $child) 2>/dev/null & watcher=$!
wait $child; code=$?
kill $watcher 2>/dev/null
exit $code`

/** Lines of a log that are kept to explain a failure. */
const KEPT_LINES = 200

interface Options {
  environment?: Record<string, string>
  /** Hears every line of the standard error, which is where our programs log. */
  onLine?: (line: string) => void
}

export class Guarded {
  readonly #shell: ChildProcess
  readonly #ended: Promise<number | null>
  readonly #log: string[] = []

  constructor(command: string, argumentsOfIt: string[], { environment, onLine }: Options = {}) {
    this.#shell = spawn('sh', ['-c', GUARD, 'sh', command, ...argumentsOfIt], {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    this.#ended = new Promise((done) => this.#shell.once('exit', done))
    // A child that has ended takes no orders any more.
    this.#shell.stdin?.on('error', () => {})
    if (!this.#shell.stderr) throw new Error('a pipe was asked for')
    createInterface({ input: this.#shell.stderr }).on('line', (line) => {
      this.#log.push(line)
      this.#log.splice(0, this.#log.length - KEPT_LINES)
      onLine?.(line)
    })
  }

  /** Its last lines. */
  get log(): string {
    return this.#log.join('\n')
  }

  /** The exit code, once it has ended. */
  get ended(): Promise<number | null> {
    return this.#ended
  }

  /** Ends it the hard way, as a crash does. */
  async kill() {
    this.#shell.stdin?.end('KILL\n')
    await this.#ended
  }
}
