/** All pages of the admin on one screen, and who may see them. */
import { type ReactNode, Suspense, useEffect } from 'react'
import { forget } from '../shared/answers'
import * as session from '../shared/desk/session'
import { LoginPage } from '../shared/desk/ui/LoginPage'
import { Shell } from '../shared/desk/ui/Shell'
import { SudoDialog } from '../shared/desk/ui/SudoDialog'
import { find, navigate, type Route, usePath } from '../shared/router'
import { useScroll } from '../shared/scroll'
import { lazily, loadWhenIdle } from '../shared/ui/chunks'
import { PageSkeleton, Rescue } from '../shared/ui/PageSkeleton'
import { Toasts } from '../shared/ui/toasts'
import { entryOf, menuFor } from './menu'
import { MissingPage, NoRolePage, NotForYouPage } from './pages/refusals'
import { Who } from './ui/Who'

const OverviewPage = lazily(() => import('./pages/OverviewPage'), 'members')
const OrdersPage = lazily(() => import('./pages/OrdersPage'), 'members')
const OrderPage = lazily(() => import('./pages/OrderPage'), 'members')
const ProductsPage = lazily(() => import('./pages/ProductsPage'), 'members')
const ProductPage = lazily(() => import('./pages/ProductPage'), 'members')
const ImportPage = lazily(() => import('./pages/ImportPage'), 'members')
const StockPage = lazily(() => import('./pages/StockPage'), 'members')
const LedgerPage = lazily(() => import('./pages/LedgerPage'), 'members')
const PeoplePage = lazily(() => import('./pages/PeoplePage'), 'members')
const AuditPage = lazily(() => import('./pages/AuditPage'), 'members')
const AccountPage = lazily(() => import('./pages/AccountPage'), 'members')

const routes: readonly Route[] = [
  { pattern: '/', page: () => <OverviewPage /> },
  { pattern: '/orders', page: () => <OrdersPage /> },
  { pattern: '/orders/:id', page: ({ id = '' }) => <OrderPage key={id} id={id} /> },
  { pattern: '/products', page: () => <ProductsPage /> },
  { pattern: '/products/new', page: () => <ProductPage key="new" id={undefined} /> },
  { pattern: '/products/import', page: () => <ImportPage /> },
  { pattern: '/products/:id', page: ({ id = '' }) => <ProductPage key={id} id={id} /> },
  { pattern: '/stock', page: () => <StockPage /> },
  { pattern: '/stock/:sku', page: ({ sku = '' }) => <LedgerPage key={sku} sku={sku} /> },
  { pattern: '/people', page: () => <PeoplePage /> },
  { pattern: '/audit', page: () => <AuditPage /> },
  { pattern: '/account', page: () => <AccountPage /> },
]

export function App() {
  const path = usePath()
  const own = session.useSession()
  const { roles } = session.useClaims()
  useScroll(path)
  useEffect(forgetAfterSession, [])
  useEffect(() => {
    if (own) loadWhenIdle('members')
  }, [own])
  useEffect(() => {
    if (own && path === '/login') {
      navigate(session.wanted(), { replace: true })
      session.forgetWanted()
    } else if (!own && path !== '/login') {
      session.remember(location.hash.slice(1) || '/')
      navigate('/login', { replace: true })
    }
  }, [own, path])
  return (
    <>
      {own ? (
        <Shell
          key={own.user.id}
          name="Millrace admin"
          ways={menuFor(roles)}
          here={path === '/' ? path : entryOf(path)?.path}
          who={<Who />}
        >
          <Rescue key={path}>
            <Suspense fallback={<PageSkeleton />}>
              <Allowed path={path}>{find(routes, path) ?? <MissingPage />}</Allowed>
            </Suspense>
          </Rescue>
        </Shell>
      ) : (
        <main id="main" tabIndex={-1}>
          <LoginPage
            name="Millrace admin"
            words="For those who run the store."
            elsewhere={<a href="/">Go to the store</a>}
          />
        </main>
      )}
      <SudoDialog />
      <Toasts />
    </>
  )
}

/** The host decides; this spares people pages whose every call would be refused. */
function Allowed({ path, children }: { path: string; children: ReactNode }) {
  const { roles, mustEnrol } = session.useClaims()
  const wantsAccount = path === '/account'
  useEffect(() => {
    if (mustEnrol && !wantsAccount) navigate('/account', { replace: true })
  }, [mustEnrol, wantsAccount])
  if (wantsAccount || mustEnrol) return children
  if (roles.length === 0) return <NoRolePage />
  const needed = entryOf(path)?.roles
  return needed && !session.has(roles, ...needed) ? <NotForYouPage needed={needed} /> : children
}

/** What one person was shown is not there for the next. */
function forgetAfterSession() {
  const end = session.subscribe(() => {
    if (!session.get()) forget(() => true)
  })
  return () => void end()
}
