/** Two changes of one config: what they did, what is done here, and where both cannot be. */
import './Together.css'
import { useMemo, useState } from 'react'
import type { Theirs } from '../../operator/config'
import { type Piece, pieces, type Side, together } from '../../operator/difference'
import { Difference } from '../../operator/ui/Difference'
import { nameOf } from './saving.ts'

interface Props {
  theirs: Theirs
  /** What both were made from. */
  base: string
  mine: string
  onTogether: (text: string) => void
  onTheirs: () => void
  onClose: () => void
}

type Clash = Extract<Piece, { kind: 'clash' }>

export function Together({ theirs, base, mine, onTogether, onTheirs, onClose }: Props) {
  const parts = useMemo(() => pieces(base, mine, theirs.text), [base, mine, theirs.text])
  const clashes = parts.filter((piece): piece is Clash => piece.kind === 'clash')
  const [chosen, setChosen] = useState<readonly (Side | undefined)[]>([])
  const left = clashes.filter((_, index) => chosen[index] === undefined).length
  const choose = (index: number, side: Side) => setChosen(clashes.map((_, at) => (at === index ? side : chosen[at])))
  return (
    <form
      className="form together"
      onSubmit={(event) => {
        event.preventDefault()
        if (left === 0) onTogether(together(parts, chosen as readonly Side[]))
      }}
    >
      <p>
        Since you read this config, {nameOf(theirs.who)} has saved another{theirs.reason ? `: “${theirs.reason}”` : ''}.{' '}
        {clashes.length === 0
          ? 'What they and you have changed fits together.'
          : `In ${clashes.length === 1 ? 'one place' : `${clashes.length} places`} both of you have changed the same lines.`}
      </p>
      <Difference label="What they have changed" from={base} to={theirs.text} />
      <Difference label="What you have changed" from={base} to={mine} />
      {clashes.map((clash, index) => (
        <ClashField
          // biome-ignore lint/suspicious/noArrayIndexKey: the places of one text keep their sequence
          key={index}
          clash={clash}
          title={clashes.length === 1 ? 'Where both have changed the same' : `Place ${index + 1} of ${clashes.length}`}
          chosen={chosen[index]}
          onChoose={(side) => choose(index, side)}
        />
      ))}
      <div className="actions">
        <button type="button" className="button button-quiet" onClick={onClose}>
          Close
        </button>
        <button type="button" className="button button-quiet" onClick={onTheirs}>
          Take theirs, keep mine as a draft
        </button>
        <button type="submit" className="button" aria-disabled={left > 0}>
          {left > 0 ? `Choose in ${left} more ${left === 1 ? 'place' : 'places'}` : 'Put both together'}
        </button>
      </div>
    </form>
  )
}

interface ClashProps {
  clash: Clash
  title: string
  chosen: Side | undefined
  onChoose: (side: Side) => void
}

function ClashField({ clash, title, chosen, onChoose }: ClashProps) {
  const sides: readonly [Side, string, string][] = [
    ['theirs', 'Take theirs', clash.theirs],
    ['mine', 'Take mine', clash.mine],
  ]
  return (
    <fieldset className="clash">
      <legend>{title}</legend>
      <div className="clash-was">
        <span>As it was</span>
        <pre>{clash.base || '(nothing)'}</pre>
      </div>
      {sides.map(([side, label, text]) => (
        <label key={side} className="clash-side">
          <span>
            <input type="radio" name={title} checked={chosen === side} onChange={() => onChoose(side)} /> {label}
          </span>
          <pre>{text || '(nothing)'}</pre>
        </label>
      ))}
    </fieldset>
  )
}
