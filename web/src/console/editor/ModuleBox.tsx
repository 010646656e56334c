/** A module on the canvas: what kind it is, its name, and the one thing to know of it. */
import './ModuleBox.css'
import { Handle, type NodeProps, Position } from '@xyflow/react'
import { memo } from 'react'
import { Drawing } from '../../shared/ui/Icon'
import type { Box, FrameNode } from './drawing.ts'
import { ROLE_DRAWINGS } from './roles.ts'

export const ModuleBox = memo(({ data }: NodeProps<Box>) => {
  const { name, type, label, role, fact, problems } = data
  return (
    <div className={`module-box role-${role}`} data-problems={problems > 0 || undefined}>
      <Handle type="target" position={Position.Top} />
      <span className="module-box-mark">
        <Drawing path={ROLE_DRAWINGS[role]} />
      </span>
      <div className="module-box-words">
        <span className="module-box-label">{label}</span>
        <strong className="module-box-name">{name || '(no name)'}</strong>
        <span className="module-box-fact" title={fact ? `${type}: ${fact}` : type}>
          {fact && <b>{fact}</b>}
          <span>{type}</span>
        </span>
      </div>
      {problems > 0 && (
        <span className="module-box-problems" title={`${problems} ${problems === 1 ? 'problem' : 'problems'}`}>
          {problems}
        </span>
      )}
      <Handle type="source" position={Position.Bottom} />
    </div>
  )
})

/** Around modules that belong together. */
export const FrameBox = memo(({ data }: NodeProps<FrameNode>) => (
  <div className="frame-box">
    <span>{data.label}</span>
  </div>
))
