/** What came in or went out, or what somebody has counted. Nobody sets a stock: two who work at once would undo each other. */
import { useRef, useState } from 'react'
import { useAction } from '../../shared/answers'
import { ApiError, explain } from '../../shared/api/errors'
import { newKey } from '../../shared/desk/api/call'
import { Field, FormError, SelectField, useFocusOnError } from '../../shared/ui/Field'
import { toast } from '../../shared/ui/toasts'
import * as api from '../api/catalogue'
import { type Kind, moveOf, SIGNS } from '../stock'

const KINDS: Readonly<Record<Kind, string>> = {
  received: 'Received from a supplier',
  returned: 'Returned by a customer',
  damaged: 'Damaged or lost',
  counted: 'Counted on the shelf',
  correction: 'Correction of a mistake',
}

export function MoveForm({ sku, onHand, onDone }: { sku: string; onHand: number; onDone: () => void }) {
  const form = useRef<HTMLFormElement>(null)
  const [kind, setKind] = useState<Kind>('received')
  const [units, setUnits] = useState('')
  const [note, setNote] = useState('')
  // What was seen when counting began: a sale meanwhile is told, and not undone.
  const [expected, setExpected] = useState(onHand)
  const [key, setKey] = useState(newKey)
  const wanted = moveOf(kind, units, expected, note)
  const move = useAction((what: api.NewMove) => api.move(sku, what, key), {
    onSuccess: () => {
      toast('success', 'The move is in the ledger')
      setUnits('')
      setNote('')
      setKey(newKey())
      onDone()
    },
    onError: (error) => {
      if (error instanceof ApiError && error.failure === 'conflict') {
        setKey(newKey())
        onDone()
      }
    },
  })
  useFocusOnError(form, move.error)
  const wrong = move.error instanceof ApiError ? move.error.fields : {}
  return (
    <form
      ref={form}
      className="form"
      onSubmit={(event) => {
        event.preventDefault()
        if (wanted) move.run(wanted)
      }}
    >
      <SelectField
        label="What happened"
        value={kind}
        onChange={(event) => {
          setKind(event.currentTarget.value as Kind)
          setExpected(onHand)
          setKey(newKey())
        }}
      >
        {Object.entries(KINDS).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </SelectField>
      <Field
        label={kind === 'counted' ? 'Units that are there' : 'Units'}
        type="number"
        inputMode="numeric"
        step="1"
        {...(SIGNS[kind] !== 'either' && { min: kind === 'counted' ? 0 : 1 })}
        required
        value={units}
        hint={
          kind === 'counted'
            ? `The ledger says ${expected}.`
            : SIGNS[kind] === 'either'
              ? 'With a minus where there are fewer.'
              : undefined
        }
        error={wrong.delta ?? wrong.counted}
        onChange={(event) => {
          setUnits(event.currentTarget.value)
          if (kind === 'counted' && units === '') setExpected(onHand)
          setKey(newKey())
        }}
      />
      <Field
        label="Note"
        value={note}
        maxLength={500}
        hint="A delivery note, an order, what was broken."
        error={wrong.note}
        onChange={(event) => {
          setNote(event.currentTarget.value)
          setKey(newKey())
        }}
      />
      {move.error !== undefined && Object.keys(wrong).length === 0 && <FormError>{explain(move.error)}</FormError>}
      <button type="submit" className="button" aria-disabled={move.isPending}>
        {move.isPending ? 'One moment…' : 'Add the move'}
      </button>
    </form>
  )
}
