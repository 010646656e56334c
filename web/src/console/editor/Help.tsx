/** What keys do. */
import { EditorDialog } from './EditorDialog.tsx'
import { KEYS, OUTLINE_KEYS } from './keys.ts'

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <EditorDialog title="Keys" onClose={onClose}>
      <KeyList keys={KEYS} />
      <h2>In the outline</h2>
      <KeyList keys={OUTLINE_KEYS} />
      <div className="editor-dialog-buttons">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </EditorDialog>
  )
}

function KeyList({ keys }: { keys: readonly [string, string][] }) {
  return (
    <dl className="keys">
      {keys.map(([key, does]) => (
        <div key={key} style={{ display: 'contents' }}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  )
}
