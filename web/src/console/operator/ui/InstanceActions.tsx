/** What may be done about an instance now, by the process's own word; each with a reason and its command. */
import { useState } from 'react'
import { stateName } from '../../../shared/format'
import { toast } from '../../../shared/ui/toasts'
import * as api from '../api'
import { useMay } from '../process'
import { DeedDialog } from './DeedDialog'
import { Refused } from './Refused'

const WORDS: Readonly<Record<Exclude<api.Action, 'fire'>, { name: string; text: string }>> = {
  retry: { name: 'Retry now', text: 'What waits is due at once, and what was set aside gets another chance.' },
  hold: {
    name: 'Hold',
    text: 'Nothing begins and no timer fires until it is released. What is under way still lands.',
  },
  release: { name: 'Release', text: 'It goes on from where it was held.' },
  cancel: { name: 'Cancel it', text: 'It is cancelled, as its kind means that.' },
}

interface Asked {
  name: string
  text: string
  deed: Omit<api.Deed, 'reason'>
}

export function InstanceActions({ instance, onChanged }: { instance: api.Instance; onChanged: () => void }) {
  const [asked, ask] = useState<Asked>()
  const mayAct = useMay('act')
  const { kind, id, actions, transitions } = instance
  const offered = actions.flatMap(({ action }): Asked[] => {
    const known = WORDS[action as keyof typeof WORDS]
    return known ? [{ ...known, deed: { action: action as api.Action } }] : []
  })
  const fired = transitions.map(
    ({ transition, to }): Asked => ({
      name: `Fire ${transition}`,
      text: `It goes to '${stateName(to)}', because you say so.`,
      deed: { action: 'fire', transition },
    }),
  )
  const all = [...offered, ...fired]
  if (all.length === 0) return null
  return (
    <>
      <div className="actions">
        {all.map((each) => (
          <button
            key={each.name}
            type="button"
            className="button button-quiet"
            disabled={!mayAct}
            onClick={() => ask(each)}
          >
            {each.name}
          </button>
        ))}
      </div>
      <Refused need="act" />
      {asked && (
        <DeedDialog
          title={asked.name}
          action={asked.name}
          words={['instances', asked.deed.action, kind, id, ...(asked.deed.transition ? [asked.deed.transition] : [])]}
          perform={async (reason) => {
            const { done } = await api.act(kind, id, { ...asked.deed, reason })
            toast('success', done.charAt(0).toUpperCase() + done.slice(1))
          }}
          onDone={() => {
            ask(undefined)
            onChanged()
          }}
          onClose={() => ask(undefined)}
        >
          <p>{asked.text}</p>
        </DeedDialog>
      )}
    </>
  )
}
