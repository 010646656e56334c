/** From nothing to a component that the config has: its files, what was built of them judged and tried, and its place in the config. */
import './CreateDialog.css'
import { type ReactNode, useEffect, useState } from 'react'
import { Dialog } from '../../../shared/desk/ui/Dialog'
import { Link, navigate } from '../../../shared/router'
import { Field, SelectField } from '../../../shared/ui/Field'
import * as api from '../../operator/api'
import { command } from '../../operator/command'
import { ROLES, useMay, useProcess } from '../../operator/process'
import { useSignIn } from '../../operator/signIn'
import { CommandLine } from '../../operator/ui/CommandLine'
import { Upload } from '../../operator/ui/Upload'
import { useModel } from '../documents.ts'
import { arrive, leave } from '../left.ts'
import { view } from '../view.ts'
import { forget, say, useBegun } from './begun.ts'
import { Files } from './Files.tsx'
import { LANGUAGES, wrongName } from './languages.ts'
import type { Purpose } from './newComponent.ts'
import { PurposeFields, usePurpose } from './PurposeFields.tsx'
import { PutIn } from './PutIn.tsx'
import { Trying } from './Trying.tsx'

/** Its own address is left with it. */
function close(): void {
  forget()
  view({ creating: false })
  if (location.hash.startsWith('#/create')) navigate('/', { replace: true })
}

export default function CreateDialog() {
  const { name, language } = useBegun()
  const [built, setBuilt] = useState<api.NewComponent>()
  useEffect(() => arrive('creating'), [])
  const purpose = usePurpose(useModel())
  const wrong = wrongName(name)
  const rename = (next: string) => {
    say({ name: next })
    setBuilt(undefined)
  }
  return (
    <Dialog title="Create Component" isWide onClose={close}>
      <div className="create">
        <Part title="1. What it is">
          <div className="create-row">
            <Field
              label="Name"
              value={name}
              spellCheck={false}
              autoComplete="off"
              placeholder="fraud-check"
              error={name !== '' && wrong ? wrong : undefined}
              onChange={({ currentTarget }) => rename(currentTarget.value.trim())}
            />
            <SelectField
              label="Language"
              value={language}
              onChange={({ currentTarget }) => say({ language: currentTarget.value })}
            >
              {LANGUAGES.map(([own, label]) => (
                <option key={own} value={own}>
                  {label}
                </option>
              ))}
            </SelectField>
          </div>
          <PurposeFields {...purpose} />
        </Part>
        {wrong ? (
          <p className="create-note">Give it a name, and its files are here.</p>
        ) : (
          <>
            <Part title="2. Its files">
              <Files language={language} name={name} />
            </Part>
            <Part title="3. What you have built">
              <Building name={name} purpose={purpose.purpose} built={built} onBuilt={setBuilt} />
            </Part>
          </>
        )}
        <div className="actions">
          <button type="button" className="button button-quiet" onClick={close}>
            Close
          </button>
        </div>
      </div>
    </Dialog>
  )
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="create-part" aria-label={title}>
      <h3>{title}</h3>
      {children}
    </section>
  )
}

interface BuildingProps {
  name: string
  purpose: Purpose
  built: api.NewComponent | undefined
  onBuilt: (built: api.NewComponent) => void
}

function Building({ name, purpose, built, onBuilt }: BuildingProps) {
  const { process } = useProcess()
  const signIn = useSignIn()
  const may = useMay('design')
  const between = purpose.kind === 'step' ? ['--between', `${purpose.from},${purpose.to}`] : []
  const words = ['add', name, `${name}/${name}.wasm`, '--config', 'config.yaml', ...between]
  if (!process || !may) {
    return (
      <>
        <p>
          {process
            ? `To upload it here takes the role ${ROLES.design}, and a process that may be changed.`
            : 'No process answers here that could judge it.'}{' '}
          The command judges the file, puts it beside the other components and writes it into a config.
        </p>
        <CommandLine label="In a terminal" command={command(...words)} />
        {process && (
          <p>
            <Link to={signIn} onClick={() => leave('creating')}>
              Sign in
            </Link>
          </p>
        )}
      </>
    )
  }
  return (
    <>
      <Upload
        key={name}
        send={(file) => api.introduce(name, file)}
        action={`Upload ${name}.wasm…`}
        said="Nothing runs it before the config has it."
        words={words}
        onUploaded={(version) => onBuilt(version as api.NewComponent)}
      />
      {built && (
        <>
          <Trying key={built.digest} name={name} digest={built.digest} />
          <PutIn name={name} built={built} purpose={purpose} onDone={close} />
        </>
      )}
    </>
  )
}
