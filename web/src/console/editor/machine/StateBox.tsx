/** A state and a transition on the drawing of a machine. */
import './StateBox.css'
import { BaseEdge, EdgeLabelRenderer, type EdgeProps, Handle, type NodeProps, Position } from '@xyflow/react'
import { memo } from 'react'
import { Drawing } from '../../../shared/ui/Icon'
import type { Maker } from '../../machines.ts'
import { select } from '../documents.ts'
import { counted, madeBy, type StateNode, shortly, type TransitionLine } from './machineDrawing.ts'

const GEAR =
  'M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM12 3v3M12 18v3M3 12h3M18 12h3M5.600 5.600l2.100 2.100M16.300 16.300l2.100 2.100M5.600 18.400l2.100-2.100M16.300 7.700l2.100-2.100'

export const StateBox = memo(({ data }: NodeProps<StateNode>) => {
  const { name, description, isInitial, isFinal, isError, awaits, problems, mark } = data
  return (
    <div
      className="state-box"
      data-final={isFinal || undefined}
      data-error={isError || undefined}
      data-initial={isInitial || undefined}
      data-problems={problems > 0 || undefined}
      data-here={mark?.kind === 'here' || undefined}
      title={description || undefined}
    >
      <Handle type="target" position={Position.Top} />
      {isInitial && (
        <span className="state-box-start" aria-hidden="true">
          start
        </span>
      )}
      <strong>{name}</strong>
      <span className="state-box-note">
        {awaits ? (
          <>
            <Drawing path={GEAR} />
            {awaits}
          </>
        ) : (
          description
        )}
      </span>
      {mark && (
        <span className="state-box-mark" data-kind={mark.kind}>
          {mark.text}
        </span>
      )}
      {problems > 0 && (
        <span className="state-box-problems" title={counted(problems)}>
          {problems}
        </span>
      )}
      <Handle type="source" position={Position.Bottom} />
    </div>
  )
})

/** Who makes a transition, as a sign; it is said in words where the line is read. */
const SIGNS: Record<Maker['by'], string> = {
  automatic: 'M13 3 5 14h6l-1 7 9-12h-6z',
  timer: 'M12 5a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 9v4l3 2M9.500 2.500h5',
  deadline: 'M6 21V4h11l-2.500 4L17 12H6',
  exhausted: 'M5 5l7 7 7-7M5 13l7 7 7-7',
  step: GEAR,
  event: 'M3.500 6h17v12h-17zM3.500 7l8.500 6.500L20.500 7',
  request: 'M4 12h15M13 6l6 6-6 6',
  action:
    'M9 11V5.500a1.500 1.500 0 0 1 3 0V11l5 1.500c2 .6 2 2 1.700 3.500l-.9 5H11l-4.500-6c-1-1.400.8-2.800 2-1.600L9 14z',
  creation: 'M12 5v14M5 12h14',
}
const CROSS = 'M6.500 6.500l11 11M17.500 6.500l-11 11'
const OUTCOMES = { success: 'm5 12.500 4.500 4.500L19 7.500', compensate: CROSS, reject: CROSS, failure: CROSS }

export function signOf(maker: Maker): string {
  return maker.by === 'step' ? OUTCOMES[maker.outcome] : SIGNS[maker.by]
}

export const Way = memo(({ data, selected, markerEnd }: EdgeProps<TransitionLine>) => {
  if (!data) return null
  const { name, makers, path, label, problems, at } = data
  const signs = [...new Map(makers.map((maker) => [signOf(maker), maker])).values()]
  const short = shortly(makers)
  return (
    <>
      <BaseEdge path={path} {...(markerEnd ? { markerEnd } : {})} interactionWidth={14} />
      <EdgeLabelRenderer>
        <button
          type="button"
          tabIndex={-1}
          className="way-name nodrag nopan"
          data-selected={selected || undefined}
          data-problems={problems > 0 || undefined}
          style={{ transform: `translate(-50%, -50%) translate(${label.x}px, ${label.y}px)` }}
          title={makers.map(madeBy).join('; ') || 'Nothing makes it yet'}
          onClick={() => select({ path: at })}
        >
          {signs.map((maker) => (
            <Drawing key={signOf(maker)} path={signOf(maker)} />
          ))}
          {name}
          {short && <small>{short}</small>}
        </button>
      </EdgeLabelRenderer>
    </>
  )
})
