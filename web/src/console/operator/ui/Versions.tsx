/** The versions of a component: one serves, others could, and what may be done with each. */
import './Versions.css'
import { type ReactNode, useState } from 'react'
import { Badge } from '../../../shared/desk/ui/Badge'
import { Panel } from '../../../shared/desk/ui/Panel'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { Link, withQuery } from '../../../shared/router'
import { toast } from '../../../shared/ui/toasts'
import * as api from '../api'
import { useMay } from '../process'
import { bytes, short } from '../words'
import { CanaryDialog } from './CanaryDialog'
import { CompareDialog } from './CompareDialog'
import { DeedDialog } from './DeedDialog'
import { Refused } from './Refused'
import { TrialDialog } from './TrialDialog'
import { UploadVersion } from './Upload'

/** What is asked about before it is done. */
interface Asked {
  what: 'trial' | 'compare' | 'canary' | 'swap' | 'rollback'
  version: api.Version
}

interface Props {
  component: api.ComponentDetail
  onChanged: () => void
}

export function Versions({ component, onChanged }: Props) {
  const { name, digest, versions } = component
  const [asked, ask] = useState<Asked>()
  const may = useMay('design')
  const close = () => ask(undefined)
  const done = () => {
    close()
    onChanged()
  }
  const button = (words: string, next: Asked): ReactNode => (
    <button type="button" className="table-button" disabled={!may} onClick={() => ask(next)}>
      {words}
    </button>
  )
  const columns: readonly Column<api.Version>[] = [
    {
      name: 'Version',
      width: '2fr',
      cell: (one) => (
        <div>
          {one.version} <code title={one.digest}>{short(one.digest)}</code>
          <span className="table-sub">
            {bytes(one.bytes)}
            {one.reversible && ', can undo'}
          </span>
        </div>
      ),
    },
    {
      name: 'Moved',
      width: '6rem',
      cell: (one) => <Link to={withQuery('/instances', { digest: one.digest.slice(0, 12) })}>instances</Link>,
    },
    {
      name: 'Do',
      width: '3fr',
      cell: (version) => (
        <span className="version-ways">
          {button('Try…', { what: 'trial', version })}
          {version.digest === digest ? (
            <Badge mood="good">serves</Badge>
          ) : (
            <>
              {digest && button('Compare…', { what: 'compare', version })}
              {digest && button('Canary…', { what: 'canary', version })}
              {version.served
                ? button('Roll back to it…', { what: 'rollback', version })
                : button('Have it serve…', { what: 'swap', version })}
            </>
          )}
        </span>
      ),
    },
  ]
  return (
    <Panel title="Versions">
      <Refused need="design" />
      <Table
        label="Versions"
        columns={columns}
        rows={versions}
        keyOf={(one) => one.digest}
        empty={<p>None is ready.</p>}
      />
      {may && <UploadVersion name={name} onUploaded={onChanged} />}
      {asked?.what === 'trial' && <TrialDialog name={name} version={asked.version} onClose={close} />}
      {asked?.what === 'compare' && <CompareDialog name={name} version={asked.version} onClose={close} />}
      {asked?.what === 'canary' && <CanaryDialog name={name} version={asked.version} onDone={done} onClose={close} />}
      {(asked?.what === 'swap' || asked?.what === 'rollback') && (
        <DeedDialog
          title={asked.what === 'swap' ? 'Have it serve' : 'Roll back'}
          action={asked.what === 'swap' ? 'Have it serve' : 'Roll back'}
          words={['components', asked.what, name, asked.version.digest]}
          perform={async (reason) => {
            const { done } = await api.change(name, asked.what as 'swap', { reason, digest: asked.version.digest })
            toast('success', done.charAt(0).toUpperCase() + done.slice(1))
          }}
          onDone={done}
          onClose={close}
        >
          <p>
            {asked.version.version} ({short(asked.version.digest)}) takes every new attempt of {name}. What is under way
            ends on the version that it began with.
          </p>
        </DeedDialog>
      )}
    </Panel>
  )
}
