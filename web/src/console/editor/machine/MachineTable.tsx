/** A machine as a table: each state with the transitions that leave it. What the drawing says and does is said and done here by words. */
import './MachineTable.css'
import { setValue } from '../../commands.ts'
import { deletePath } from '../../deleting.ts'
import type { Machine, State, Transition } from '../../machines.ts'
import type { Path } from '../../source.ts'
import { perform, say, select, UNDO, useEditor } from '../documents.ts'
import { counted, type Mark, madeBy } from './machineDrawing.ts'

interface Props {
  machine: Machine
  problems: ReadonlyMap<string, number>
  marks: ReadonlyMap<string, Mark>
}

export function MachineTable({ machine, problems, marks }: Props) {
  return (
    <section className="machine-table" aria-label={`Table of ${machine.name}`}>
      <table>
        <caption className="sr-only">States of {machine.name}, and the transitions that leave each</caption>
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Transition</th>
            <th scope="col">To</th>
            <th scope="col">Made by</th>
            <th scope="col">
              <span className="sr-only">Delete</span>
            </th>
          </tr>
        </thead>
        {machine.states.map((state) => (
          <StateRows
            key={state.name}
            machine={machine}
            state={state}
            problems={problems}
            mark={marks.get(state.name)}
          />
        ))}
      </table>
    </section>
  )
}

interface StateProps extends Pick<Props, 'machine' | 'problems'> {
  state: State
  mark: Mark | undefined
}

function StateRows({ machine, state, problems, mark }: StateProps) {
  const leaving = machine.transitions.filter(({ from }) => from === state.name)
  const [first, ...more] = leaving
  return (
    <tbody>
      <tr>
        <th scope="rowgroup" rowSpan={Math.max(leaving.length, 1)}>
          <Chooser path={state.path} name={state.name} />
          <small>{kindsOf(machine, state)}</small>
          {mark && <small className="machine-table-count">{mark.told}</small>}
          <Problems count={problems.get(`states ${state.name}`)} />
        </th>
        {first ? (
          <Cells machine={machine} transition={first} problems={problems} />
        ) : (
          <td colSpan={4} className="machine-table-none">
            {state.isFinal ? 'The end.' : 'Nothing leaves it.'}
          </td>
        )}
      </tr>
      {more.map((transition) => (
        <tr key={transition.name}>
          <Cells machine={machine} transition={transition} problems={problems} />
        </tr>
      ))}
    </tbody>
  )
}

function Cells({ machine, transition, problems }: Pick<Props, 'machine' | 'problems'> & { transition: Transition }) {
  const { name, to, makers, path } = transition
  const states = machine.states.map((state) => state.name)
  const lead = (state: string) => perform((now) => setValue(now, [...path, 'toState'], state))
  const remove = () => {
    if (!perform((now) => deletePath(now, path), { quiet: true })) return
    select({})
    say('done', `Deleted ${name}`, UNDO)
  }
  return (
    <>
      <td>
        <Chooser path={path} name={name} />
        <Problems count={problems.get(`transitions ${name}`)} />
      </td>
      <td>
        <select aria-label={`Where ${name} leads`} value={to} onChange={({ target }) => lead(target.value)}>
          {!states.includes(to) && <option>{to}</option>}
          {states.map((state) => (
            <option key={state}>{state}</option>
          ))}
        </select>
      </td>
      <td>{makers.map(madeBy).join('; ') || 'nobody yet'}</td>
      <td>
        <button type="button" className="text-button" aria-label={`Delete ${name}`} onClick={remove}>
          Delete
        </button>
      </td>
    </>
  )
}

/** Its form is beside the table. */
function Chooser({ path, name }: { path: Path; name: string }) {
  const isChosen = useEditor(({ selection }) => selection.path?.join('/') === path.join('/'))
  return (
    <button type="button" className="text-button" aria-pressed={isChosen} onClick={() => select({ path })}>
      {name}
    </button>
  )
}

function Problems({ count = 0 }: { count?: number | undefined }) {
  return count > 0 ? <b className="machine-table-problems">{counted(count)}</b> : null
}

function kindsOf({ initial }: Machine, { name, isFinal, isError, awaits, description }: State): string {
  const kinds = [
    name === initial && 'initial',
    isFinal && 'final',
    isError && 'a failure',
    awaits && `waits for ${awaits}`,
    description,
  ]
  return kinds.filter(Boolean).join(' · ')
}
