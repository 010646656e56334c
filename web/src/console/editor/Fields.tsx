/** Controls for the settings at a place of the config. A setting that is not given shows what holds then, and is not written. */
import './Fields.css'
import { useId } from 'react'
import { change } from '../commands.ts'
import type { Model } from '../lens.ts'
import { at, list, part } from '../references.ts'
import type { ScalarValue } from '../scalars.ts'
import type { Path } from '../source.ts'
import { perform, select } from './documents.ts'
import { type Field, suggestions } from './form.ts'
import { keyed } from './keyed.ts'
import { TypedInput } from './TypedInput.tsx'
import { view } from './view.ts'

export function Fields({ fields, model }: { fields: readonly Field[]; model: Model }) {
  return fields.map((field) => <Setting key={field.path.join('/')} field={field} model={model} />)
}

function Setting({ field, model }: { field: Field; model: Model }) {
  if (field.control === 'group') return <Group field={field} model={model} />
  if (field.control === 'list') return <ListSetting field={field} model={model} />
  if (field.control === 'map' || field.control === 'written') return <WrittenSetting field={field} model={model} />
  return (
    <div className="setting-block">
      <label className="setting">
        <Label field={field} />
        <Single field={field} model={model} />
      </label>
      <Help field={field} />
    </div>
  )
}

function Label({ field: { label, required } }: { field: Field }) {
  return (
    <span className="setting-label" data-required={required || undefined}>
      {label}
    </span>
  )
}

function Help({ field }: { field: Field }) {
  if (!field.help) return null
  const parts = keyed(field.help.split('`'))
  return (
    <p className="setting-help">
      {parts.map(({ key, item }, index) => (index % 2 === 0 ? item : <code key={key}>{item}</code>))}
    </p>
  )
}

/** Writes a value at a path; one key for each thing that is typed. */
function write(path: Path, value: ScalarValue, label: string): boolean {
  const made = perform((model) => change(model, `Set ${label}`, (draft) => draft.put(path, value, ['name', 'type'])), {
    typed: true,
  })
  return made !== null
}

function forget(path: Path, label: string): void {
  perform((model) =>
    change(model, `Remove ${label}`, (draft) => {
      if (draft.source.entry(path)) draft.remove(path)
    }),
  )
}

function written(model: Model, path: Path): string {
  const value = at(model.source.value, ...path)
  return value === null || value === undefined ? '' : String(value)
}

function Single({ field, model }: { field: Field; model: Model }) {
  const isChoice = field.control === 'choice' || field.control === 'switch'
  return isChoice ? <Choice field={field} model={model} /> : <Typed field={field} model={model} />
}

const YES_NO: Record<string, string> = { true: 'Yes', false: 'No' }

function Choice({ field, model }: { field: Field; model: Model }) {
  const { path, label, control, fallback, required, choices } = field
  const value = written(model, path)
  const flaw = model.source.flaw(path)
  const options = control === 'switch' ? Object.keys(YES_NO) : choices
  const others = value === '' || options.includes(value) ? options : [value, ...options]
  const choose = (chosen: string) => {
    if (chosen === '') forget(path, label)
    else write(path, control === 'switch' ? chosen === 'true' : chosen, label)
  }
  return (
    <select
      className="setting-input"
      value={value}
      disabled={flaw !== null}
      title={flaw ?? undefined}
      onChange={({ target }) => choose(target.value)}
    >
      {!(required && value !== '') && <option value="">{fallback ? `${fallback} (not given)` : 'Not given'}</option>}
      {others.map((one) => (
        <option key={one} value={one}>
          {(control === 'switch' && YES_NO[one]) || one}
        </option>
      ))}
    </select>
  )
}

function Typed({ field, model }: { field: Field; model: Model }) {
  const { path, label, control, fallback, required, secret, takesNumbers } = field
  const known = useId()
  const names = suggestions(path, model)
  const flaw = model.source.flaw(path)
  const isNumber = (text: string) => takesNumbers && /^-?\d+(\.\d+)?$/.test(text)
  return (
    <>
      <TypedInput
        value={written(model, path)}
        disabled={flaw !== null}
        title={flaw ?? undefined}
        list={names.length > 0 ? known : undefined}
        inputMode={control === 'number' ? 'numeric' : undefined}
        placeholder={fallback ? `${fallback} if not given` : undefined}
        data-secret={secret || undefined}
        write={(text) => write(path, isNumber(text) ? Number(text) : text, label)}
        clear={required ? undefined : () => forget(path, label)}
      />
      {names.length > 0 && <Names id={known} names={names} />}
    </>
  )
}

function Names({ id, names }: { id: string; names: readonly string[] }) {
  return (
    <datalist id={id}>
      {names.map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  )
}

function Group({ field, model }: { field: Field; model: Model }) {
  const given = part(at(model.source.value, ...field.path))
  const count = Object.keys(given).length
  return (
    <details className="setting-group" open={count > 0 || undefined}>
      <summary>
        {field.label}
        <span>{count > 0 ? `${count} set` : 'not given'}</span>
      </summary>
      <Help field={field} />
      <div className="setting-group-fields">
        <Fields fields={field.fields} model={model} />
      </div>
    </details>
  )
}

/** Names or texts in a sequence. */
function ListSetting({ field, model }: { field: Field; model: Model }) {
  const { path, label } = field
  const items = list(at(model.source.value, ...path)).map(String)
  const flaw = model.source.flaw(path)
  const known = useId()
  const names = suggestions([...path, 0], model).filter((name) => !items.includes(name))
  const take = (index: number) =>
    perform((now) =>
      change(now, `Remove ${items[index]}`, (draft) => draft.remove(items.length > 1 ? [...path, index] : path)),
    )
  const move = (from: number, to: number) => {
    if (to >= 0 && to < items.length)
      perform((now) => change(now, `Move ${items[from]}`, (draft) => draft.move(path, from, to)))
  }
  const append = (text: string) => {
    const value = text.trim()
    return (
      value !== '' &&
      perform((now) =>
        change(now, `Add ${value}`, (draft) => draft.append(path, value, ['name', 'type', 'config'])),
      ) !== null
    )
  }
  return (
    <fieldset className="setting-list">
      <legend className="setting-label">{label}</legend>
      <ul>
        {keyed(items).map(({ key, item }, index) => (
          <li key={key}>
            <span>{item}</span>
            {!flaw && items.length > 1 && (
              <>
                <button
                  type="button"
                  aria-label={`Move ${item} up`}
                  disabled={index === 0}
                  onClick={() => move(index, index - 1)}
                >
                  ↑
                </button>
                <button
                  type="button"
                  aria-label={`Move ${item} down`}
                  disabled={index === items.length - 1}
                  onClick={() => move(index, index + 1)}
                >
                  ↓
                </button>
              </>
            )}
            {!flaw && (
              <button type="button" aria-label={`Remove ${item}`} onClick={() => take(index)}>
                ×
              </button>
            )}
          </li>
        ))}
      </ul>
      {flaw ? (
        <p className="setting-help">{flaw}</p>
      ) : (
        <form
          className="setting-add"
          onSubmit={(event) => {
            event.preventDefault()
            const input = event.currentTarget.elements.namedItem('more') as HTMLInputElement
            if (append(input.value)) input.value = ''
          }}
        >
          <input
            name="more"
            className="setting-input"
            aria-label={`Add to ${label}`}
            placeholder="Add"
            list={known}
            autoComplete="off"
            spellCheck={false}
          />
          <Names id={known} names={names} />
          <button type="submit" aria-label={`Add it to ${label}`}>
            +
          </button>
        </form>
      )}
      <Help field={field} />
    </fieldset>
  )
}

/** What has no control of its own: it is told, and edited as text. */
function WrittenSetting({ field, model }: { field: Field; model: Model }) {
  const value = at(model.source.value, ...field.path)
  const keys = Array.isArray(value) ? value.length : Object.keys(part(value)).length
  const entry = model.source.entry(field.path)
  const look = () => {
    view({ text: true })
    select({ path: entry ? field.path : field.path.slice(0, -1) })
  }
  return (
    <div className="setting-written">
      <span className="setting-label">{field.label}</span>
      <span>{entry ? `${keys} ${keys === 1 ? 'entry' : 'entries'}` : 'not given'}</span>
      <button type="button" className="text-button" onClick={look}>
        Edit as text
      </button>
      <Help field={field} />
    </div>
  )
}
