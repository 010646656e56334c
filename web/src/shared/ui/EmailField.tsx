/** An e-mail address. The store says what one is: a browser's `type="email"` refuses letters that people's addresses have. */
import type { ComponentProps } from 'react'
import { Field } from './Field'

type Props = Pick<ComponentProps<typeof Field>, 'id' | 'value' | 'onChange' | 'error'>

export function EmailField(props: Props) {
  return (
    <Field
      label="Email"
      name="email"
      inputMode="email"
      autoComplete="email"
      autoCapitalize="none"
      spellCheck={false}
      required
      {...props}
    />
  )
}
