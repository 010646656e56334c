/** The configs that the process had, the newest first: who has saved each and why, what is different in it, and the way back. */
import './HistoryPage.css'
import { useState } from 'react'
import { useAnswer } from '../../../shared/answers'
import { Badge } from '../../../shared/desk/ui/Badge'
import { Bar } from '../../../shared/desk/ui/Bar'
import { Facts, Panel } from '../../../shared/desk/ui/Panel'
import { type Column, Table } from '../../../shared/desk/ui/Table'
import { PartTrouble } from '../../../shared/desk/ui/Trouble'
import { When } from '../../../shared/desk/ui/When'
import { exactTime, fullDate } from '../../../shared/format'
import { Link, navigate } from '../../../shared/router'
import { Heading, Skeleton } from '../../../shared/ui/Page'
import { toast } from '../../../shared/ui/toasts'
import { command } from '../command'
import * as config from '../config'
import { useMay } from '../process'
import { CommandLine } from '../ui/CommandLine'
import { Consequences } from '../ui/Consequences'
import { DeedDialog } from '../ui/DeedDialog'
import { Difference } from '../ui/Difference'
import { Refused } from '../ui/Refused'
import { actor, short } from '../words'

const KEY = 'console/config-history'

function by(who: string): string {
  return who === 'file' ? 'written by hand' : actor(who)
}

function columns(current: string): readonly Column<config.Saved>[] {
  return [
    {
      name: 'When',
      width: '9rem',
      cell: ({ at }) => <When at={at} />,
    },
    {
      name: 'Config',
      width: '9rem',
      cell: ({ digest }) => (
        <div>
          <Link to={`/history/${digest}`} className="table-link">
            <code>{short(digest)}</code>
          </Link>{' '}
          {digest === current && <Badge mood="good">the file</Badge>}
        </div>
      ),
    },
    { name: 'Who', width: '10rem', cell: ({ who }) => <span title={who}>{by(who)}</span> },
    { name: 'Why', width: '2fr', cell: ({ reason }) => reason },
  ]
}

export default function HistoryPage({ digest }: { digest?: string | undefined }) {
  const { data, error, refresh } = useAnswer<config.History>(KEY, (signal) => config.history(signal))
  return (
    <div className="page">
      {digest === undefined ? (
        <Bar title="History of the config" />
      ) : (
        <Version digest={digest} current={data?.current} />
      )}
      {digest === undefined && !data && error === undefined && (
        <Skeleton className="skeleton-block" label="Loading the history" />
      )}
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {digest === undefined && data && (
        <>
          {data.items.length > 0 && (
            <p>Open one to compare it with the file, to edit it, or to make it the config again.</p>
          )}
          <Table
            label="Configs"
            columns={columns(data.current)}
            rows={data.items}
            keyOf={({ number }) => String(number)}
            empty={<p>Nothing was saved yet: the config is the file that the process was started with.</p>}
          />
          <CommandLine label="The same in a terminal" command={command('config', 'history')} />
        </>
      )}
    </div>
  )
}

function Version({ digest, current }: { digest: string; current: string | undefined }) {
  const [isAsked, setAsked] = useState(false)
  const isCurrent = digest === current
  const then = useAnswer(`${KEY}/${digest}`, (signal) => config.earlier(digest, signal))
  const now = useAnswer(`console/config ${current ?? ''}`, (signal) => config.read(signal))
  const text = then.data?.text
  const plan = useAnswer(`${KEY}/plan ${digest} ${current ?? ''}`, (signal) => config.planEarlier(digest, signal))
  const may = useMay('deploy')
  const error = then.error ?? now.error
  const canGoBack = plan.data?.valid === true && plan.data.stranded.length === 0
  return (
    <>
      <Link to="/history" className="history-back">
        History
      </Link>
      <Heading>Config {short(digest)}</Heading>
      {error !== undefined && <PartTrouble error={error} retry={then.refresh} />}
      {then.data && (
        <Panel
          title={isCurrent ? 'What the file says now' : 'An earlier config'}
          aside={<Badge mood={isCurrent ? 'good' : 'calm'}>{isCurrent ? 'the file' : 'earlier'}</Badge>}
        >
          <Facts
            facts={[
              ['Saved', `${exactTime(then.data.at)}, ${fullDate(then.data.at)}`],
              [
                'By',
                <span key="by" title={then.data.who}>
                  {by(then.data.who)}
                </span>,
              ],
              ['Why', then.data.reason],
              ['SHA-256', <code key="digest">{digest}</code>],
            ]}
          />
          <div className="actions">
            <button
              type="button"
              className="button button-quiet"
              onClick={() => void inEditor(then.data?.text, now.data)}
            >
              Open in the editor
            </button>
          </div>
        </Panel>
      )}
      {!isCurrent && now.data && text !== undefined && (
        <Panel title="Going back to it">
          <Refused need="deploy" />
          {plan.data ? (
            <Consequences plan={plan.data} />
          ) : (
            <Skeleton className="skeleton-block" label="Asking what that changes" />
          )}
          <Difference label="From what the file says now to this one" from={now.data.text} to={text} />
          <CommandLine label="In a terminal" command={command('config', 'rollback', digest.slice(0, 12))} />
          {may && canGoBack && (
            <div className="actions">
              <button type="button" className="button" onClick={() => setAsked(true)}>
                Roll back to it
              </button>
            </div>
          )}
        </Panel>
      )}
      {isAsked && now.data && plan.data && (
        <RollBack digest={digest} now={now.data} plan={plan.data} onClose={() => setAsked(false)} />
      )}
    </>
  )
}

interface RollBackProps {
  digest: string
  now: config.Config
  plan: config.Plan
  onClose: () => void
}

function RollBack({ digest, now, plan, onClose }: RollBackProps) {
  const history = useAnswer<config.History>(KEY, (signal) => config.history(signal))
  return (
    <DeedDialog
      title={`Roll back to ${short(digest)}`}
      action="Roll back"
      words={['config', 'rollback', digest.slice(0, 12)]}
      perform={async (reason) => {
        const { done } = await config.rollBack(digest, reason, now.digest)
        toast('success', `${done.charAt(0).toUpperCase()}${done.slice(1)}.`)
      }}
      onDone={() => {
        history.refresh()
        onClose()
        navigate('/history')
      }}
      onClose={onClose}
    >
      <Consequences plan={{ ...plan, changes: [] }} />
    </DeedDialog>
  )
}

/** As a tab of the editor: a change that is not saved yet, of what the process has now. */
async function inEditor(text: string | undefined, now: config.Config | undefined): Promise<void> {
  if (text === undefined || !now) return
  const { open } = await import('../../editor/documents.ts')
  open(now.path.split('/').at(-1) ?? 'workflow.yaml', text, {
    saved: now.text,
    base: { digest: now.digest, text: now.text },
  })
  navigate('/')
}
