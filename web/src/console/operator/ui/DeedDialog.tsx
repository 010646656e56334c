/** Before a deed: what will happen, why, and the command that does the same. */
import { type ReactNode, useState } from 'react'
import { ReasonDialog } from '../../../shared/desk/ui/ReasonDialog'
import { command, WHY } from '../command'
import { CommandLine } from './CommandLine'

interface Props {
  title: string
  action: string
  /** Of the command, without the reason. */
  words: readonly string[]
  children?: ReactNode
  perform: (reason: string) => Promise<unknown>
  onDone: () => void
  onClose: () => void
}

export function DeedDialog({ words, children, perform, ...rest }: Props) {
  const [reason, setReason] = useState('')
  return (
    <ReasonDialog {...rest} perform={perform} onReason={setReason}>
      {children}
      <CommandLine label="In a terminal" command={command(...words, '--reason', reason || WHY)} />
    </ReasonDialog>
  )
}
