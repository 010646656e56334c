/** The components of the config, and the way to a new one. */
import './Components.css'
import { useEffect, useRef } from 'react'
import { Link } from '../../../shared/router'
import { text } from '../../references.ts'
import { select, useEditor, useModel } from '../documents.ts'
import { SidePanel } from '../SidePanel.tsx'
import { view } from '../view.ts'

export default function Components() {
  const { modules, edges } = useModel()
  const chosen = useEditor(({ selection }) => selection.modules)
  const panel = useRef<HTMLElement>(null)
  useEffect(() => panel.current?.querySelector<HTMLElement>('.components-new')?.focus(), [])
  const close = () => {
    view({ components: false })
    document.querySelector<HTMLElement>('.tool-components')?.focus()
  }
  const all = modules.filter(({ type }) => type === 'dynamic.component')
  const usersOf = (name: string) =>
    edges.filter(({ kind, from, to }) => kind === 'component' && (from === name || to === name)).length
  return (
    <SidePanel name="components" heading="Components" closing="Close the components" onClose={close} panel={panel}>
      <button type="button" className="components-new" onClick={() => view({ creating: true })}>
        Create Component
      </button>
      {all.length === 0 && <p>This config has none. A component is a .wasm file that does the work of a step.</p>}
      <ul>
        {all.map(({ name, config }) => (
          <li key={name} data-chosen={chosen.includes(name) || undefined}>
            <button type="button" className="text-button" onClick={() => select({ modules: [name] })}>
              {name}
            </button>
            <code>{text(config.source) ?? 'no file'}</code>
            <span>{uses(usersOf(name))}</span>
            <Link to={`/components/${encodeURIComponent(name)}`} aria-label={`${name} as it runs`}>
              As it runs
            </Link>
          </li>
        ))}
      </ul>
    </SidePanel>
  )
}

function uses(count: number): string {
  if (count === 0) return 'Nothing runs it.'
  return count === 1 ? 'One module runs it.' : `${count} modules run it.`
}
