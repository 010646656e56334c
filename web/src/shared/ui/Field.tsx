/** Labelled inputs that say what is wrong with them. */
import './Field.css'
import { type ComponentProps, type ReactNode, type RefObject, useEffect, useId } from 'react'

interface Words {
  label: string
  hint?: string | undefined
  error?: string | undefined
}

type Props = ComponentProps<'input'> & Words

export function Field({ label, hint, error, id, ...input }: Props) {
  return (
    <Labelled label={label} hint={hint} error={error} id={id}>
      {(control) => <input className="field-control" {...control} {...input} />}
    </Labelled>
  )
}

export function TextField({ label, hint, error, id, ...input }: ComponentProps<'textarea'> & Words) {
  return (
    <Labelled label={label} hint={hint} error={error} id={id}>
      {(control) => <textarea className="field-control" {...control} {...input} />}
    </Labelled>
  )
}

/** One of a few; the options are its children. */
export function SelectField({ label, hint, error, id, ...input }: ComponentProps<'select'> & Words) {
  return (
    <Labelled label={label} hint={hint} error={error} id={id}>
      {(control) => <select className="field-control" {...control} {...input} />}
    </Labelled>
  )
}

interface Control {
  id: string
  'aria-invalid': true | undefined
  'aria-describedby': string | undefined
}

function Labelled(props: Words & { id: string | undefined; children: (control: Control) => ReactNode }) {
  const { label, hint, error, id: given, children } = props
  const generated = useId()
  const id = given ?? generated
  const about = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(' ')
  return (
    <div className="field">
      <label htmlFor={id} className="field-label">
        {label}
      </label>
      {children({ id, 'aria-invalid': error ? true : undefined, 'aria-describedby': about || undefined })}
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
