/** What can be done with the config as a whole. */
import './Toolbar.css'
import { type ReactNode, useRef } from 'react'
import { navigate, usePath } from '../../shared/router'
import { exportFile, importFile, judge, loadFromServer, save } from './actions.ts'
import { clear, redo, undo, useModel, useShown } from './documents.ts'
import { lookAtAll } from './places.ts'
import { useHost, useProblems } from './problems.ts'
import { toggle, useView, view } from './view.ts'

const PROCESSES = '/processes'

export function Toolbar() {
  const { text, undoLabel, redoLabel } = useShown()
  const { modules } = useModel()
  const { isGrouped, text: hasText, copilot, components, problems: hasProblems } = useView()
  const { problems } = useProblems()
  const host = useHost()
  const isEmpty = text.trim() === ''
  const hasProcesses = usePath() === PROCESSES
  return (
    <div className="toolbar" role="toolbar" aria-label="Workflow">
      <Group label="File">
        <ImportButton />
        <Tool onClick={() => void loadFromServer()}>Load Server</Tool>
        <Tool onClick={exportFile} disabled={isEmpty}>
          Export YAML
        </Tool>
        <Tool onClick={save} disabled={isEmpty} title={SAVES[host]}>
          Save
        </Tool>
        <Tool onClick={() => void validate()} disabled={isEmpty}>
          Validate
        </Tool>
      </Group>
      <Group label="History">
        <Tool onClick={undo} disabled={undoLabel === null} title={undoLabel ? `Undo: ${undoLabel}` : 'Ctrl+Z'}>
          Undo
        </Tool>
        <Tool onClick={redo} disabled={redoLabel === null} title={redoLabel ? `Redo: ${redoLabel}` : 'Ctrl+Shift+Z'}>
          Redo
        </Tool>
      </Group>
      <Group label="Help">
        <Tool onClick={() => toggle('copilot')} pressed={copilot} title="Alt+5" className="tool tool-copilot">
          AI Copilot
        </Tool>
        <Tool onClick={() => toggle('components')} pressed={components} className="tool tool-components">
          Components
        </Tool>
      </Group>
      <Group label="View">
        <Tool pressed={hasProcesses} onClick={() => navigate(hasProcesses ? '/' : PROCESSES)}>
          Container View
        </Tool>
        <Tool pressed={isGrouped} onClick={group}>
          Auto-group
        </Tool>
        <Tool pressed={hasText} onClick={() => toggle('text')}>
          Text
        </Tool>
        <Tool pressed={hasProblems} onClick={() => toggle('problems')}>
          Problems
          {problems.length > 0 && <span className="tool-count">{problems.length}</span>}
        </Tool>
      </Group>
      <div className="toolbar-end">
        <span className="toolbar-modules">{modules.length} modules</span>
        <Tool onClick={clear} disabled={isEmpty}>
          Clear
        </Tool>
        <Tool onClick={() => view({ help: true })} title="Keys: ?" label="Help">
          ?
        </Tool>
      </div>
    </div>
  )
}

/** What Save does, by what is known of a process. */
const SAVES = {
  unknown: 'Ctrl+S',
  there: 'Make it the config of the process (Ctrl+S)',
  away: 'No process answers here: the config is given as a file (Ctrl+S)',
  closed: 'The process wants you to sign in first (Ctrl+S)',
} as const

async function validate(): Promise<void> {
  if (await judge()) view({ problems: true })
}

function group(): void {
  toggle('isGrouped')
  lookAtAll()
}

function ImportButton() {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <Tool onClick={() => input.current?.click()}>Import</Tool>
      <input
        ref={input}
        type="file"
        accept=".yaml,.yml"
        hidden
        aria-label="Workflow file"
        onChange={({ target }) => {
          const file = target.files?.[0]
          // The same file can be chosen again.
          target.value = ''
          if (file) void importFile(file)
        }}
      />
    </>
  )
}

function Group({ label, children }: { label: string; children: ReactNode }) {
  return (
    <fieldset className="toolbar-group" aria-label={label}>
      {children}
    </fieldset>
  )
}

interface ToolProps {
  onClick: () => void
  disabled?: boolean
  pressed?: boolean
  title?: string
  label?: string
  className?: string
  children: ReactNode
}

function Tool({ onClick, disabled = false, pressed, title, label, className = 'tool', children }: ToolProps) {
  return (
    <button
      type="button"
      className={className}
      onClick={onClick}
      disabled={disabled}
      aria-pressed={pressed}
      title={title}
      aria-label={label}
    >
      {children}
    </button>
  )
}
