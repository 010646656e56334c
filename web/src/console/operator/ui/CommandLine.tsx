/** The command that does the same in a terminal, ready to be copied. */
import './CommandLine.css'
import { copy } from '../../../shared/desk/copy'

export function CommandLine({ command, label }: { command: string; label?: string }) {
  return (
    <div className="command-line">
      {label && <span>{label}</span>}
      <code>{command}</code>
      <button
        type="button"
        className="table-button"
        onClick={() => copy(command, 'command')}
        aria-label="Copy the command"
      >
        Copy
      </button>
    </div>
  )
}
