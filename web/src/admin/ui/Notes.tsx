/** What those who work here tell each other about an order; its customer never sees it. */
import './Notes.css'
import { useState } from 'react'
import { useAction, useAnswer } from '../../shared/answers'
import { explain } from '../../shared/api/errors'
import { newKey } from '../../shared/desk/api/call'
import * as session from '../../shared/desk/session'
import { Panel } from '../../shared/desk/ui/Panel'
import { PartTrouble } from '../../shared/desk/ui/Trouble'
import { dateTime } from '../../shared/format'
import { FormError, TextField } from '../../shared/ui/Field'
import * as api from '../api/orders'
import { draftKey, draftOf, useDraft } from '../drafts'
import { Actor } from './Actor'

export function Notes({ id }: { id: string }) {
  const { data, error, refresh } = useAnswer(`admin/notes/${id}`, (signal) => api.notes(id, signal))
  const draft = draftKey(session.useSession()?.user.id, `note of ${id}`, 0)
  const [text, setText] = useState(() => draftOf<string>(draft) ?? '')
  useDraft(draft, text, text.trim() !== '')
  const [key, setKey] = useState(newKey)
  const add = useAction(() => api.addNote(id, text.trim(), key), {
    onSuccess: () => {
      setText('')
      setKey(newKey())
      refresh()
    },
  })
  return (
    <Panel title="Notes">
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      <ul className="notes" aria-live="polite">
        {data?.items.map((note) => (
          <li key={note.id ?? note.seq ?? note.at}>
            <p>{note.text}</p>
            <span>
              {note.author && (
                <>
                  <Actor id={note.author} />,{' '}
                </>
              )}
              {dateTime(note.at)}
            </span>
          </li>
        ))}
      </ul>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault()
          if (text.trim()) add.run()
        }}
      >
        <TextField
          label="New note"
          rows={2}
          maxLength={2000}
          required
          hint="The customer does not see it."
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value)
            setKey(newKey())
          }}
        />
        {add.error !== undefined && <FormError>{explain(add.error)}</FormError>}
        <button type="submit" className="button button-quiet" aria-disabled={add.isPending}>
          Add note
        </button>
      </form>
    </Panel>
  )
}
