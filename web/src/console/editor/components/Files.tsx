/** The files that a component begins with, to be looked at and taken along. */
import { useState } from 'react'
import { useAnswer } from '../../../shared/answers'
import { ApiError, explain } from '../../../shared/api/errors'
import { FormError } from '../../../shared/ui/Field'
import * as api from '../../operator/api'
import { command } from '../../operator/command'
import { CommandLine } from '../../operator/ui/CommandLine'
import { archive } from './archive.ts'

export function Files({ language, name }: { language: string; name: string }) {
  const key = `console/template/${language}/${name}`
  const { data, error } = useAnswer<api.Template>(key, (signal) => api.template(language, name, signal))
  return (
    <>
      {data && <Shown template={data} />}
      {!data && error !== undefined && <Missing error={error} />}
      <CommandLine label="The same in a terminal" command={command('new', name, '--lang', language)} />
      <CommandLine label="Then" command={`cd ${name} && ./build.sh && ./test.sh`} />
    </>
  )
}

/** A name that is a word of a language is refused by the process; else there is none, or not for this person. */
function Missing({ error }: { error: unknown }) {
  if (error instanceof ApiError && error.failure === 'invalid') return <FormError>{explain(error)}</FormError>
  return <p>No process answers here that has the files. The command makes them, with the program alone.</p>
}

function Shown({ template }: { template: api.Template }) {
  const { name, files } = template
  const [path, setPath] = useState('README.md')
  const file = files.find((one) => one.path === path) ?? files[0]
  const download = () => {
    const url = URL.createObjectURL(new Blob([archive(template)], { type: 'application/zip' }))
    Object.assign(document.createElement('a'), { href: url, download: `${name}.zip` }).click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }
  return (
    <div className="create-files">
      <ul aria-label="Files">
        {files.map((one) => (
          <li key={one.path}>
            <button type="button" aria-pressed={one === file} onClick={() => setPath(one.path)}>
              {one.path}
            </button>
          </li>
        ))}
      </ul>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keys */}
      <section tabIndex={0} aria-label={file?.path}>
        <pre>{file?.text}</pre>
      </section>
      <button type="button" className="button button-quiet" onClick={download}>
        Download {name}.zip
      </button>
    </div>
  )
}
