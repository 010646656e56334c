/** All pages of the console on one screen. The first needs no process; the others ask one. */
import { type ReactNode, Suspense, useEffect } from 'react'
import { Shell } from '../shared/desk/ui/Shell'
import { SudoDialog } from '../shared/desk/ui/SudoDialog'
import { find, type Route, usePath } from '../shared/router'
import { useScroll } from '../shared/scroll'
import { lazily, loadWhenIdle } from '../shared/ui/chunks'
import { PageSkeleton, Rescue } from '../shared/ui/PageSkeleton'
import { Toasts } from '../shared/ui/toasts'
import { Finder } from './finder/Finder'
import { entryOf, useWays } from './operator/menu'
import { MissingPage } from './operator/pages/refusals'
import { SignInPage } from './operator/pages/SignInPage'
import { useForgetting } from './operator/process'
import { Inside } from './operator/ui/Inside'
import { Who } from './operator/ui/Who'

// Who looks at a process may never want it, and it weighs more than all the rest.
const EditorPage = lazily(() => import('./editor/EditorPage'), 'nobody')
const InstancesPage = lazily(() => import('./operator/pages/InstancesPage'))
const InstancePage = lazily(() => import('./operator/pages/InstancePage'))
const WaitingPage = lazily(() => import('./operator/pages/WaitingPage'))
const ComponentsPage = lazily(() => import('./operator/pages/ComponentsPage'))
const ComponentPage = lazily(() => import('./operator/pages/ComponentPage'))
const HistoryPage = lazily(() => import('./operator/pages/HistoryPage'), 'nobody')
const AuditPage = lazily(() => import('./operator/pages/AuditPage'))

const routes: readonly Route[] = [
  { pattern: '/', page: () => <EditorPage /> },
  { pattern: '/machine/:workflow', page: ({ workflow }) => <EditorPage machine={workflow} /> },
  { pattern: '/processes', page: () => <EditorPage hasProcesses /> },
  { pattern: '/create', page: () => <EditorPage isCreating /> },
  { pattern: '/sign-in', page: () => <SignInPage /> },
  { pattern: '/instances', page: () => inside(<InstancesPage />) },
  {
    pattern: '/instances/:kind/:id',
    page: ({ kind = '', id = '' }) => inside(<InstancePage key={`${kind}/${id}`} kind={kind} id={id} />),
  },
  { pattern: '/waiting', page: () => inside(<WaitingPage />) },
  { pattern: '/components', page: () => inside(<ComponentsPage />) },
  { pattern: '/components/:name', page: ({ name = '' }) => inside(<ComponentPage key={name} name={name} />) },
  { pattern: '/history', page: () => inside(<HistoryPage />) },
  { pattern: '/history/:digest', page: ({ digest = '' }) => inside(<HistoryPage key={digest} digest={digest} />) },
  { pattern: '/audit', page: () => inside(<AuditPage />) },
]

function inside(page: ReactNode) {
  return <Inside>{page}</Inside>
}

export function App() {
  const path = usePath()
  const ways = useWays()
  useScroll(path)
  useForgetting()
  useEffect(() => loadWhenIdle('everybody'), [])
  return (
    <>
      <Shell name="Millrace console" ways={ways} here={entryOf(path)?.path} who={<Who />}>
        <Rescue key={path}>
          <Suspense fallback={<PageSkeleton />}>{find(routes, path) ?? <MissingPage />}</Suspense>
        </Rescue>
      </Shell>
      <Finder />
      <SudoDialog />
      <Toasts />
    </>
  )
}
