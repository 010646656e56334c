/** A labelled input that says what is wrong with it. */
import './Field.css'
import { type ComponentProps, type ReactNode, type RefObject, useEffect, useId } from 'react'

type Props = ComponentProps<'input'> & { label: string; hint?: string; error?: string | undefined }

export function Field({ label, hint, error, id: given, ...input }: Props) {
  const generated = useId()
  const id = given ?? generated
  const about = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(' ')
  return (
    <div className="field">
      <label htmlFor={id} className="field-label">
        {label}
      </label>
      <input
        id={id}
        className="field-control"
        aria-invalid={error ? true : undefined}
        aria-describedby={about || undefined}
        {...input}
      />
      {hint && (
        <p className="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p className="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  )
}

/** What is wrong with all of it, beside the button that was pressed. */
export function FormError({ children, id }: { children: ReactNode; id?: string }) {
  return (
    <p className="field-error form-error" id={id} role="alert" tabIndex={-1}>
      {children}
    </p>
  )
}

/** When something is wrong, the first field with a complaint takes the focus, or else what is said of the whole form. */
export function useFocusOnError(form: RefObject<HTMLFormElement | null>, error: unknown) {
  useEffect(() => {
    if (error === undefined) return
    const wrong = ['[aria-invalid="true"]', '.form-error'].map((query) =>
      form.current?.querySelector<HTMLElement>(query),
    )
    wrong.find(Boolean)?.focus()
  }, [form, error])
}
