/** The configs that are open, a tab for each. */
import './Tabs.css'
import type { KeyboardEvent } from 'react'
import { Icon } from '../../shared/ui/Icon'
import { closeTab } from './actions.ts'
import { open, show, useEditor, useShown } from './documents.ts'
import { lookAtAll } from './places.ts'

export function Tabs() {
  const configs = useEditor((state) => state.configs)
  const { id: active } = useShown()
  const move = (event: KeyboardEvent, index: number) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    const next = configs[(index + step + configs.length) % configs.length]
    if (step === 0 || !next) return
    event.preventDefault()
    show(next.id)
    document.getElementById(`tab-${next.id}`)?.focus()
  }
  return (
    <div className="tabs">
      <div className="tabs-list" role="tablist" aria-label="Open configs">
        {configs.map(({ id, name, dirty }, index) => (
          <button
            key={id}
            id={`tab-${id}`}
            type="button"
            role="tab"
            className="tab"
            aria-selected={id === active}
            aria-controls="editor-body"
            tabIndex={id === active ? 0 : -1}
            onClick={() => show(id)}
            onKeyDown={(event) => move(event, index)}
          >
            {name}
            {dirty && (
              <span className="tab-dirty" title="Not saved">
                <span className="sr-only">, not saved</span>
              </span>
            )}
          </button>
        ))}
      </div>
      {configs.length > 1 && (
        <button type="button" className="tab-tool" onClick={() => closeTab(active)} aria-label="Close this config">
          <Icon name="close" />
        </button>
      )}
      <button type="button" className="tab-tool" onClick={another} aria-label="New config">
        <Icon name="plus" />
      </button>
    </div>
  )
}

function another(): void {
  const names = new Set(useEditor.getState().configs.map(({ name }) => name))
  let name = 'workflow.yaml'
  for (let number = 2; names.has(name); number++) name = `workflow-${number}.yaml`
  open(name, '')
  lookAtAll()
}
