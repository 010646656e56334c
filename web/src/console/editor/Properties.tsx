/** The form of what is selected. Each field is a place of the text: what is typed there is written there, and nowhere else. */
import './Properties.css'
import { deletePath } from '../deleting.ts'
import type { Edge } from '../edges.ts'
import type { Model } from '../lens.ts'
import { usesOf } from '../lens.ts'
import type { Module } from '../modules.ts'
import { rename } from '../rename.ts'
import type { Path } from '../source.ts'
import { deleteSelected } from './actions.ts'
import { perform, say, select, shown, UNDO, useEditor, useModel } from './documents.ts'
import { toldOf } from './drawing.ts'
import { Fields } from './Fields.tsx'
import { fieldsAt } from './form.ts'
import { keyed } from './keyed.ts'
import { MachineName, MachineParts, NewMachine } from './MachineForm.tsx'
import { renamed } from './places.ts'
import { useProblems } from './problems.ts'
import { TypedInput } from './TypedInput.tsx'
import { view } from './view.ts'

export function Properties() {
  const model = useModel()
  const { modules, edge, path } = useEditor(({ selection }) => selection)
  const chosen = model.modules.find(({ name }) => name === modules[0])
  const line = model.edges.find(({ id }) => id === edge)
  return (
    <section className="properties" aria-labelledby="properties-heading" id="panel-properties" tabIndex={-1}>
      <h2 id="properties-heading">Properties</h2>
      <Body model={model} count={modules.length} module={chosen} edge={line} path={path} />
    </section>
  )
}

interface BodyProps {
  model: Model
  count: number
  module: Module | undefined
  edge: Edge | undefined
  path: Path | null
}

function Body({ model, count, module, edge, path }: BodyProps) {
  if (count > 1) return <Many count={count} />
  if (module) return <ModuleForm key={module.path.join('/')} model={model} module={module} />
  if (edge) return <EdgeWords edge={edge} />
  const entry = path && model.source.entry(path)
  // By its place among its like: a name is a part of the path, and changes while it is typed.
  if (path && entry) return <PathForm key={[...path.slice(0, -1), entry.index].join('/')} model={model} path={path} />
  return <p className="properties-none">Select a node to edit its properties</p>
}

function Many({ count }: { count: number }) {
  return (
    <>
      <p className="properties-none">{count} modules are selected.</p>
      <DeleteButton name="Delete Nodes" />
    </>
  )
}

function ModuleForm({ model, module }: { model: Model; module: Module }) {
  const { name, type, label, role, flaw, path } = module
  const fields = fieldsAt([...path, 'config'], model)
  return (
    <>
      <p className={`properties-type role-${role}`}>
        <b>{label}</b> <code>{type}</code>
      </p>
      <Told module={name} />
      {flaw ? (
        <AsText why={flaw} path={path} />
      ) : (
        <div className="properties-form">
          <label className="setting">
            <span className="setting-label">Name</span>
            <TypedInput value={name} write={(to) => renameModule(name, to)} />
          </label>
          {module.known ? (
            <Fields fields={fields} model={model} />
          ) : (
            <AsText why={`This host has no modules of the type ${type}.`} path={path} />
          )}
          <Fields fields={fieldsAt(path, model).filter(({ key }) => key === 'dependsOn')} model={model} />
        </div>
      )}
      {type === 'statemachine.engine' && <NewMachine />}
      <UsedBy model={model} name={name} />
      <DeleteButton name="Delete Node" />
    </>
  )
}

/** Everywhere, and the box stays where it is. */
function renameModule(name: string, to: string): boolean {
  if (!perform((model) => rename(model, { kind: 'module', name }, to), { typed: true })) return false
  renamed(shown(useEditor.getState()), name, to)
  select({ modules: [to] })
  return true
}

function Told({ module }: { module: string }) {
  const { problems } = useProblems()
  const own = problems.filter((problem) => problem.module === module)
  if (own.length === 0) return null
  return (
    <ul className="properties-problems">
      {own.map(({ line, column, message, help }) => (
        <li key={`${line}:${column}:${message}`}>
          {message} <span>{help}</span>
        </li>
      ))}
    </ul>
  )
}

function UsedBy({ model, name }: { model: Model; name: string }) {
  const uses = usesOf(model, name)
  if (uses.length === 0) return null
  const told = [...new Set(uses.map(({ path }) => whoUses(model, path)))]
  return (
    <p className="properties-uses">
      Used by {told.slice(0, 6).join(', ')}
      {told.length > 6 ? ` and ${told.length - 6} more` : ''}
    </p>
  )
}

function whoUses(model: Model, path: Path): string {
  if (path[0] === 'modules') return model.modules[Number(path[1])]?.name ?? ''
  const route = model.routes.find(({ at }) => at.every((step, index) => step === path[index]))
  return route ? `${route.method} ${route.path}` : path.slice(1, 3).join(' ')
}

function AsText({ why, path }: { why: string; path: Path }) {
  const look = () => {
    view({ text: true })
    select({ path })
  }
  return (
    <p className="properties-as-text">
      {why}{' '}
      <button type="button" className="text-button" onClick={look}>
        Edit it as text
      </button>
    </p>
  )
}

function EdgeWords({ edge }: { edge: Edge }) {
  return (
    <>
      <p className="properties-edge">{toldOf({ ...edge, labels: [] })}</p>
      {edge.labels.length > 0 && (
        <ul className="properties-labels">
          {keyed(edge.labels).map(({ key, item: label }, index) => (
            <li key={key}>
              <button type="button" className="text-button" onClick={() => select({ path: edge.paths[index] ?? null })}>
                {label}
              </button>
            </li>
          ))}
        </ul>
      )}
      <DeleteButton name="Disconnect" />
    </>
  )
}

/** What is no module: a route, a hook, a state. */
function PathForm({ model, path }: { model: Model; path: Path }) {
  const flaw = model.source.flaw(path)
  const fields = fieldsAt(path, model)
  const remove = () => {
    if (perform((now) => deletePath(now, path), { quiet: true })) {
      select({})
      say('done', `Deleted ${titleOf(path)}`, UNDO)
    }
  }
  return (
    <>
      <p className="properties-type">
        <b>{titleOf(path)}</b>
      </p>
      {flaw || fields.length === 0 ? (
        <AsText why={flaw ?? 'There is no form for it.'} path={path} />
      ) : (
        <div className="properties-form">
          <MachineName model={model} path={path} />
          <Fields fields={fields} model={model} />
          <MachineParts model={model} path={path} />
        </div>
      )}
      {path.length > 2 && (
        <button type="button" className="delete-button" onClick={remove}>
          Delete
        </button>
      )}
    </>
  )
}

const WORDS: Record<string, string> = {
  routes: 'Route',
  hooks: 'Hook',
  subscriptions: 'Subscription',
  states: 'State',
  transitions: 'Transition',
  definitions: 'Machine',
}

function titleOf(path: Path): string {
  const [list, last] = [path.at(-2), path.at(-1)]
  const word = WORDS[String(list)] ?? ''
  return typeof last === 'string' ? `${word} ${last}`.trim() : word || String(last)
}

function DeleteButton({ name }: { name: string }) {
  return (
    <button type="button" className="delete-button" onClick={deleteSelected}>
      {name}
    </button>
  )
}
