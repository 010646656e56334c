/** The command that does the same in a terminal, ready to be copied. */
import './CommandLine.css'
import { toast } from '../../../shared/ui/toasts'

export function CommandLine({ command, label }: { command: string; label?: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command)
      toast('success', 'Copied')
    } catch {
      toast('error', 'This page may not use the clipboard. Select the command and copy it.')
    }
  }
  return (
    <div className="command-line">
      {label && <span>{label}</span>}
      <code>{command}</code>
      <button type="button" className="table-button" onClick={copy} aria-label="Copy the command">
        Copy
      </button>
    </div>
  )
}
