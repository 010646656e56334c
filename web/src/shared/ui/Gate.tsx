/** The pages before the login: a form, and where there is room, a picture beside it. */
import './Gate.css'
import { type ReactNode, useRef } from 'react'
import { useAction } from '../answers'
import { explain } from '../api/errors'
import * as session from '../session'
import { FormError, useFocusOnError } from './Field'
import { Heading } from './Page'
import { toast } from './toasts'

interface FormProps<T> {
  /** Beside the form, where there is room. */
  picture: ReactNode
  title: string
  lead: string
  /** What the button says. */
  action: string
  send(data: FormData): Promise<T>
  onSuccess(answer: T): void
  /** What is said when it did not work, if the form does not say it alone. */
  alarm?: string
  /** By the name of the field that is wrong. */
  complaints(error: unknown): Readonly<Record<string, string>>
  /** The fields, with what is wrong with them. */
  children(complaints: Readonly<Record<string, string>>): ReactNode
  /** Where to go instead. */
  other: ReactNode
}

interface Props extends Omit<FormProps<Parameters<typeof session.begin>[0]>, 'send' | 'onSuccess'> {
  /** What is said when it worked. */
  greeting: string
  open(data: FormData): Promise<Parameters<typeof session.begin>[0]>
}

/** Opens a session. */
export function Gate({ greeting, open, ...rest }: Props) {
  const begin = (opened: Parameters<typeof session.begin>[0]) => {
    toast('success', greeting)
    session.begin(opened)
  }
  return <GateForm {...rest} send={open} onSuccess={begin} />
}

/** Does something else for who has no session. */
export function GateForm<T>(props: FormProps<T>) {
  const { picture, title, lead, action, send, onSuccess, alarm, complaints, children, other } = props
  const form = useRef<HTMLFormElement>(null)
  const sending = useAction(send, {
    onSuccess,
    onError: () => {
      if (alarm) toast('error', alarm)
    },
  })
  useFocusOnError(form, sending.error)
  const wrong = complaints(sending.error)
  const words = sending.error !== undefined && Object.keys(wrong).length === 0 ? explain(sending.error) : undefined
  return (
    <div className="page gate-page">
      {picture}
      <section className="gate">
        <Heading>{title}</Heading>
        <p>{lead}</p>
        <form
          ref={form}
          className="form"
          onSubmit={(event) => {
            event.preventDefault()
            sending.run(new FormData(event.currentTarget))
          }}
        >
          {children(wrong)}
          {words && <FormError>{words}</FormError>}
          <button type="submit" className="button button-wide" aria-disabled={sending.isPending}>
            {sending.isPending ? 'One moment…' : action}
          </button>
        </form>
        <p className="gate-other">{other}</p>
      </section>
    </div>
  )
}
