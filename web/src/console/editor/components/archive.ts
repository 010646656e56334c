/** A folder as one file, which unpacks to what `millrace new` makes. */
import { strToU8, type ZippableFile, zipSync } from 'fflate'
import type { Template } from '../../operator/api'

/** Modes of files of Unix, in the upper half of what an entry says of itself. */
const [PLAIN, SCRIPT] = [0o100644 << 16, 0o100755 << 16]
const UNIX = 3

/** A zip of the folder `name`, whose scripts can be run. */
export function archive({ name, files }: Pick<Template, 'name' | 'files'>): Uint8Array<ArrayBuffer> {
  const entries = files.map(({ path, text, script }) => {
    const attributes = { os: UNIX, attrs: (script ? SCRIPT : PLAIN) >>> 0 }
    return [`${name}/${path}`, [strToU8(text), attributes] satisfies ZippableFile] as const
  })
  return zipSync(Object.fromEntries(entries)) as Uint8Array<ArrayBuffer>
}
