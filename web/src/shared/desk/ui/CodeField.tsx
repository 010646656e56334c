/** A code of the second factor. It appears after another field was sent, so it may take the focus. */
import { useEffect, useRef } from 'react'
import { Field } from '../../ui/Field'

export function CodeField({
  error,
  isFocused = false,
  hint,
}: {
  error: string | undefined
  isFocused?: boolean
  hint?: string
}) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (isFocused) input.current?.focus()
  }, [isFocused])
  return (
    <Field
      ref={input}
      label="Code"
      name="code"
      inputMode="numeric"
      autoComplete="one-time-code"
      autoCapitalize="none"
      spellCheck={false}
      required
      hint={hint ?? 'Six digits from your authenticator, or a recovery code.'}
      error={error}
    />
  )
}
