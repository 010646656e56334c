/** What a new component is for, in the words of this config. */
import { useId } from 'react'
import { Field, SelectField } from '../../../shared/ui/Field'
import type { Model } from '../../lens.ts'
import { type Chosen, say, useBegun } from './begun.ts'
import { type Purpose, topics, type Way, ways } from './newComponent.ts'

const KINDS: readonly (readonly [Purpose['kind'], string])[] = [
  ['step', 'A step of a workflow'],
  ['handler', 'A handler of events'],
  ['module', 'Not yet known'],
]

/** What is chosen, and what can be. */
export function usePurpose(model: Model) {
  const all = ways(model)
  const chosen = useBegun((begun) => begun.chosen)
  // Where there is no machine nothing can be a step.
  const kind = chosen.kind === 'step' && all.length === 0 ? 'module' : chosen.kind
  // The config may be another one by now.
  const way = all.find(({ from, to }) => from === chosen.way?.from && to === chosen.way.to) ?? all[0]
  const failures = failuresOf(model, way)
  // One end for what has failed needs no word.
  const otherwise = chosen.otherwise || (failures.length > 1 ? (failures[0] ?? '') : '')
  return {
    model,
    ways: all,
    failures,
    chosen: { ...chosen, kind, way, otherwise },
    choose: (change: Partial<Chosen>) => say({ chosen: { ...chosen, ...change } }),
    purpose: purposeOf({ ...chosen, kind, way, otherwise }),
  }
}

function purposeOf({ kind, way, otherwise, topic }: Chosen): Purpose {
  if (kind === 'step' && way) return { kind, from: way.from, to: way.to, otherwise: otherwise || undefined }
  if (kind === 'handler') return { kind, topic }
  return { kind: 'module' }
}

function failuresOf({ machines }: Model, way: Way | undefined): string[] {
  const states = machines.find(({ name }) => name === way?.workflow)?.states ?? []
  return states.filter(({ isFinal, isError }) => isFinal && isError).map(({ name }) => name)
}

export function PurposeFields({ model, ways: all, failures, chosen, choose }: ReturnType<typeof usePurpose>) {
  const name = useId()
  return (
    <>
      <fieldset className="create-kinds">
        <legend>What it does</legend>
        {KINDS.map(([kind, label]) => (
          <label key={kind}>
            <input
              type="radio"
              name={name}
              checked={kind === chosen.kind}
              disabled={kind === 'step' && all.length === 0}
              onChange={() => choose({ kind })}
            />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
      {chosen.kind === 'step' && <StepFields {...{ ways: all, failures, chosen, choose }} />}
      {chosen.kind === 'handler' && <TopicField topics={topics(model)} topic={chosen.topic} choose={choose} />}
    </>
  )
}

type StepProps = Omit<ReturnType<typeof usePurpose>, 'model' | 'purpose'>

function StepFields({ ways: all, failures, chosen, choose }: StepProps) {
  const at = all.findIndex(({ from, to }) => from === chosen.way?.from && to === chosen.way.to)
  return (
    <div className="create-row">
      <SelectField
        label="On the way"
        value={at}
        onChange={({ currentTarget }) => choose({ way: all[Number(currentTarget.value)], otherwise: '' })}
      >
        {all.map(({ workflow, from, to }, index) => (
          <option key={`${workflow} ${from} ${to}`} value={index}>
            {`${workflow}: from ${from} to ${to}`}
          </option>
        ))}
      </SelectField>
      {failures.length > 1 && (
        <SelectField
          label="What it rejects goes to"
          value={chosen.otherwise}
          onChange={({ currentTarget }) => choose({ otherwise: currentTarget.value })}
        >
          {failures.map((state) => (
            <option key={state}>{state}</option>
          ))}
        </SelectField>
      )}
    </div>
  )
}

interface TopicProps {
  topics: readonly string[]
  topic: string
  choose: (change: Partial<Chosen>) => void
}

function TopicField({ topics: known, topic, choose }: TopicProps) {
  const list = useId()
  return (
    <>
      <Field
        label="Topic"
        value={topic}
        list={list}
        spellCheck={false}
        placeholder={known[0] ?? 'order.completed'}
        hint="It is run for each event of this topic."
        onChange={({ currentTarget }) => choose({ topic: currentTarget.value.trim() })}
      />
      <datalist id={list}>
        {known.map((one) => (
          <option key={one} value={one} />
        ))}
      </datalist>
    </>
  )
}
