/** The pages before the login: a form that opens a session, and where there is room, a picture beside it. */
import './Gate.css'
import { type ReactNode, useRef } from 'react'
import { useAction } from '../answers'
import { explain } from '../api/errors'
import * as session from '../session'
import { FormError, useFocusOnError } from './Field'
import { Heading } from './Page'
import { toast } from './toasts'

interface Props {
  /** Beside the form, where there is room. */
  picture: ReactNode
  title: string
  lead: string
  /** What the button says. */
  action: string
  /** What is said when it worked. */
  greeting: string
  open(data: FormData): Promise<Parameters<typeof session.begin>[0]>
  /** What is said when it did not work, if the form does not say it alone. */
  alarm?: string
  /** By the name of the field that is wrong. */
  complaints(error: unknown): Readonly<Record<string, string>>
  /** The fields, with what is wrong with them. */
  children(complaints: Readonly<Record<string, string>>): ReactNode
  /** Where to go instead. */
  other: ReactNode
}

export function Gate({ picture, title, lead, action, greeting, alarm, open, complaints, children, other }: Props) {
  const form = useRef<HTMLFormElement>(null)
  const opening = useAction(open, {
    onSuccess: (opened) => {
      toast('success', greeting)
      session.begin(opened)
    },
    onError: () => {
      if (alarm) toast('error', alarm)
    },
  })
  useFocusOnError(form, opening.error)
  const wrong = complaints(opening.error)
  const words = opening.error !== undefined && Object.keys(wrong).length === 0 ? explain(opening.error) : undefined
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
            opening.run(new FormData(event.currentTarget))
          }}
        >
          {children(wrong)}
          {words && <FormError>{words}</FormError>}
          <button type="submit" className="button button-wide" disabled={opening.isPending}>
            {opening.isPending ? 'One moment…' : action}
          </button>
        </form>
        <p className="gate-other">{other}</p>
      </section>
    </div>
  )
}
