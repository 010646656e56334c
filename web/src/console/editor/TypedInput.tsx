/** An input whose text is written into the config while it is typed. What cannot be written stays in the input until it is left. */
import { type ComponentProps, useState } from 'react'

interface Props extends Omit<ComponentProps<'input'>, 'value' | 'onChange'> {
  /** What the config says. */
  value: string
  /** Writes it; `false` where that was refused. */
  write: (text: string) => boolean
  /** What becomes of a text that was emptied, once the input is left. */
  clear?: (() => void) | undefined
}

export function TypedInput({ value, write, clear, onBlur, ...input }: Props) {
  const [typed, setTyped] = useState<string | null>(null)
  return (
    <input
      type="text"
      spellCheck={false}
      autoComplete="off"
      className="setting-input"
      {...input}
      value={typed ?? value}
      onChange={({ target }) => {
        const isWritten = target.value !== '' && write(target.value)
        setTyped(isWritten ? null : target.value)
      }}
      onBlur={(event) => {
        if (typed === '') clear?.()
        setTyped(null)
        onBlur?.(event)
      }}
    />
  )
}
