/** Before a version gets a share of the new visits: how large, and by what it is judged. */
import { useState } from 'react'
import { Field } from '../../../shared/ui/Field'
import { toast } from '../../../shared/ui/toasts'
import * as api from '../api'
import { short } from '../words'
import { DeedDialog } from './DeedDialog'

interface Props {
  name: string
  version: api.Version
  onDone: () => void
  onClose: () => void
}

/** What the process does if nothing else is said. */
const EMPTY = { share: '10', runs: '50', seconds: '', maxFailures: '', maxSlowdown: '' }
type Rule = typeof EMPTY

export function CanaryDialog({ name, version, onDone, onClose }: Props) {
  const [rule, setRule] = useState(EMPTY)
  const field = (of: keyof Rule) => ({
    type: 'number',
    value: rule[of],
    onChange: (event: { currentTarget: HTMLInputElement }) => setRule({ ...rule, [of]: event.currentTarget.value }),
  })
  return (
    <DeedDialog
      title={`Canary of ${version.version} (${short(version.digest)})`}
      action="Begin it"
      words={['components', 'canary', name, version.digest, ...options(rule)]}
      perform={async (reason) => {
        await api.beginCanary(name, { digest: version.digest, ...bodyOf(rule), reason })
        toast('success', `${rule.share} % of the new visits run on it`)
      }}
      onDone={onDone}
      onClose={onClose}
    >
      <p>
        So many of the new visits run on this version. It is taken, or thrown out, by itself; what it cannot do is done
        by the version that serves.
      </p>
      <Field label="Percent of the new visits" required min={1} max={50} {...field('share')} />
      <Field label="Ends after so many runs" min={10} max={10_000} required={!rule.seconds} {...field('runs')} />
      <details>
        <summary>By what it is judged</summary>
        <div className="form">
          <Field label="Or after so many seconds" min={1} max={604_800} {...field('seconds')} />
          <Field
            label="Failures that are forgiven"
            min={0}
            max={10_000}
            hint="Beyond those of the version that serves; 1 if nothing is said."
            {...field('maxFailures')}
          />
          <Field
            label="Times as long as it may take"
            min={1}
            max={1_000}
            step="0.1"
            hint="95 of a hundred runs, beside those of the version that serves; 2 if nothing is said."
            {...field('maxSlowdown')}
          />
        </div>
      </details>
    </DeedDialog>
  )
}

/** What was said, as numbers. */
function bodyOf(rule: Rule): Omit<api.NewCanary, 'digest' | 'reason'> {
  const said = Object.entries(rule).filter(([, value]) => value !== '')
  return { share: Number(rule.share), ...Object.fromEntries(said.map(([of, value]) => [of, Number(value)])) }
}

function options(rule: Rule): string[] {
  return Object.entries(rule).flatMap(([of, value]) =>
    value === '' ? [] : [`--${of.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, value],
  )
}
