/** One component: the version that serves, those that could, what it may do, and another version in its place. */
import './ComponentPage.css'
import { outdate, useAnswer } from '../../../shared/answers'
import { Badge } from '../../../shared/desk/ui/Badge'
import { Facts, Panel } from '../../../shared/desk/ui/Panel'
import { Trouble } from '../../../shared/desk/ui/Trouble'
import { dateTime } from '../../../shared/format'
import { Link } from '../../../shared/router'
import { Icon } from '../../../shared/ui/Icon'
import { Heading, Skeleton } from '../../../shared/ui/Page'
import * as api from '../api'
import { useLive } from '../live'
import { Canary } from '../ui/Canary'
import { Versions } from '../ui/Versions'
import { ago, bytes, short, took } from '../words'

const LOOK_MS = 5_000

export default function ComponentPage({ name }: { name: string }) {
  const key = `console/component/${name}`
  const { data, error, refresh } = useAnswer<api.ComponentDetail>(key, (signal) => api.component(name, signal), {
    every: () => LOOK_MS,
  })
  const { live } = useLive()
  if (error !== undefined && !data)
    return (
      <Trouble
        error={error}
        retry={refresh}
        what="component"
        back={{ to: '/components', name: 'See all components' }}
      />
    )
  return (
    <div className="page">
      <Link to="/components" className="back-link">
        <Icon name="back" />
        Components
      </Link>
      {data ? (
        <Shown
          component={{ ...data, ...live?.components[name] }}
          onChanged={() => outdate((each) => each.startsWith(key) || each === 'console/components')}
        />
      ) : (
        <Skeleton className="skeleton-block" label="Loading the component" />
      )}
    </div>
  )
}

interface ShownProps {
  component: api.ComponentDetail
  onChanged: () => void
}

function Shown({ component, onChanged }: ShownProps) {
  const { name, summary, refused, breaker, digest } = component
  return (
    <>
      <div className="component-title">
        <Heading title={name}>{name}</Heading>
        {digest ? (
          <span role="status">
            {component.version} · <code>{short(digest)}</code>
          </span>
        ) : (
          <Badge mood="bad">nothing serves</Badge>
        )}
        {breaker !== 'closed' && <Badge mood="warn">{`breaker ${breaker}`}</Badge>}
      </div>
      {summary && <p className="component-summary">{summary}</p>}
      {refused && (
        <p className="component-refused" role="alert">
          The file that is there now is not taken: {refused}
        </p>
      )}
      <div className="split">
        <div className="stack">
          <Versions component={component} onChanged={onChanged} />
          <Canary name={name} onEnded={onChanged} />
          <Panel title="How it does">
            <Figures component={component} />
          </Panel>
        </div>
        <About component={component} />
      </div>
    </>
  )
}

function Figures({ component }: { component: api.Component }) {
  const { runs, outcomes, running, waiting, p50Seconds, p95Seconds, since } = component
  return (
    <Facts
      facts={[
        ['Serves since', since && `${dateTime(since)}, ${ago(since)}`],
        ['Now', `${running} at work, ${waiting} wait for a place`],
        ['Runs', runs],
        ...Object.entries(outcomes).map(([outcome, count]) => [`… ${outcome}`, count] as const),
        ['Half within', took(p50Seconds)],
        ['95 % within', took(p95Seconds)],
      ]}
    />
  )
}

function About({ component }: { component: api.ComponentDetail }) {
  const { source, bytes: size, reversible, limits, grants, configKeys } = component
  return (
    <div className="stack">
      <Panel title="About it">
        <Facts
          facts={[
            ['File', <code key="file">{source}</code>],
            ['Size', size !== null && bytes(size)],
            ['Can undo', reversible ? 'yes' : 'no'],
            ['May read', configKeys.join(', ') || 'no settings'],
          ]}
        />
      </Panel>
      {limits && (
        <Panel title="Limits of one run">
          <Facts
            facts={[
              ['Memory', bytes(limits.memoryBytes)],
              ['Computing', took(limits.cpuSeconds)],
              ['Calls out', limits.hostCalls],
              ['Answer', bytes(limits.answerBytes)],
            ]}
          />
        </Panel>
      )}
      <Panel title="What it may call">
        {grants.length === 0 ? (
          <p>Nothing outside of its sandbox.</p>
        ) : (
          <ul className="lines">
            {grants.map(({ service, target, headers }) => (
              <li key={service}>
                <p>{service}</p>
                <span>
                  {target}
                  {headers.length > 0 && `, with ${headers.join(', ')}`}
                </span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </div>
  )
}
