/** A password, which can be looked at while it is typed. */
import './PasswordField.css'
import { useState } from 'react'
import { Field } from './Field'

type Props = {
  autoComplete: 'current-password' | 'new-password'
  label?: string
  name?: string
  hint?: string
  error: string | undefined
}

export function PasswordField({ autoComplete, error, ...rest }: Props) {
  const [isShown, setShown] = useState(false)
  return (
    <div className="password">
      <Field
        label="Password"
        name="password"
        type={isShown ? 'text' : 'password'}
        autoComplete={autoComplete}
        required
        error={error}
        {...rest}
      />
      <button type="button" className="password-show" aria-pressed={isShown} onClick={() => setShown(!isShown)}>
        {isShown ? 'Hide' : 'Show'}
      </button>
    </div>
  )
}
