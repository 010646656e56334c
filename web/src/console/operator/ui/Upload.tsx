/** Another version, dragged here or chosen: it is judged and kept, and nothing else happens. */
import './Upload.css'
import { useRef, useState } from 'react'
import { useAction } from '../../../shared/answers'
import { ApiError, explain } from '../../../shared/api/errors'
import { Sign } from '../../../shared/desk/ui/Sign'
import { FormError } from '../../../shared/ui/Field'
import * as api from '../api'
import { command } from '../command'
import { short } from '../words'
import { CommandLine } from './CommandLine'

/** What the process takes. */
const MOST_BYTES = 32 * 1024 * 1024
const MOST_SIGNATURE_BYTES = 4 * 1024

/** A component, and its signature if that was chosen with it. */
interface Chosen {
  readonly file: File
  readonly signature: File | undefined
}

function sorted(files: readonly File[]): Chosen | undefined {
  const isSignature = ({ name, size }: File) => name.endsWith('.sig') && size <= MOST_SIGNATURE_BYTES
  const file = files.find((one) => !one.name.endsWith('.sig'))
  return file && { file, signature: files.find(isSignature) }
}

interface Props {
  /** Judges and keeps a file, with its signature if that was chosen with it. */
  send: (file: File, signature: string | undefined) => Promise<api.Version>
  action?: string
  /** What is there then. */
  said?: string
  /** The command that does the same. */
  words: readonly string[]
  onUploaded: (version: api.Version) => void
}

/** Another version of a component that the config has. */
export function UploadVersion({ name, onUploaded }: { name: string; onUploaded: () => void }) {
  return (
    <Upload
      send={(file, signature) => api.upload(name, file, signature)}
      words={['components', 'upload', name, 'new.wasm']}
      onUploaded={onUploaded}
    />
  )
}

export function Upload(props: Props) {
  const { send, action = 'Upload a version…', said = 'It does not serve yet.', words, onUploaded } = props
  const input = useRef<HTMLInputElement>(null)
  const [isOver, setOver] = useState(false)
  const [good, setGood] = useState<api.Version>()
  const uploading = useAction(
    async ({ file, signature }: Chosen) => {
      if (file.size > MOST_BYTES) throw new ApiError('invalid', `${file.name} has more than 32 MiB`)
      return send(file, (await signature?.text())?.trim())
    },
    {
      onSuccess: (version) => {
        setGood(version)
        onUploaded(version)
      },
    },
  )
  const take = (files: FileList | null) => {
    const chosen = sorted(Array.from(files ?? []))
    setGood(undefined)
    if (chosen) uploading.run(chosen)
  }
  return (
    <div className="upload-part">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the button within does the same */}
      <div
        className="upload"
        data-over={isOver}
        onDragOver={(event) => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault()
          setOver(false)
          take(event.dataTransfer.files)
        }}
      >
        <input
          ref={input}
          type="file"
          accept=".wasm,.sig,application/wasm"
          multiple
          className="sr-only"
          tabIndex={-1}
          aria-label="Component file"
          onChange={(event) => {
            take(event.currentTarget.files)
            event.currentTarget.value = ''
          }}
        />
        <button
          type="button"
          className="button button-quiet"
          aria-disabled={uploading.isPending}
          onClick={() => uploading.isPending || input.current?.click()}
        >
          <Sign name="upload" />
          {uploading.isPending ? 'It is judged…' : action}
        </button>
        <span>or drag a .wasm file here, with its .sig file if it is signed</span>
      </div>
      <p role="status" className="upload-said">
        {good && `${good.name} ${good.version} (${short(good.digest)}) is good and kept. ${said}`}
      </p>
      {uploading.error !== undefined && <FormError>{explain(uploading.error)}</FormError>}
      <CommandLine label="In a terminal" command={command(...words)} />
    </div>
  )
}
