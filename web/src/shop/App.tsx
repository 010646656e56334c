/** All pages on one screen, and who may see them. */
import { type ComponentType, Fragment, type ReactNode, Suspense, useEffect } from 'react'
import { forget } from '../shared/answers'
import { find, navigate, type Route, usePath } from '../shared/router'
import { useScroll } from '../shared/scroll'
import * as session from '../shared/session'
import { lazily, loadWhenIdle } from '../shared/ui/chunks'
import { PageSkeleton, Rescue } from '../shared/ui/PageSkeleton'
import { Toasts } from '../shared/ui/toasts'
import { dropDraftOfOthers } from './orders/draft'
import { CataloguePage } from './pages/CataloguePage'
import { MissingPage } from './pages/MissingPage'
import { Footer } from './ui/Footer'
import { Header } from './ui/Header'

// What a first visit does not need comes when it is wanted.
const visitors = <P extends object>(page: (pages: typeof import('./pages/visitors')) => ComponentType<P>) =>
  lazily(async () => ({ default: page(await import('./pages/visitors')) }))
const ProductPage = visitors((pages) => pages.ProductPage)
const CartPage = visitors((pages) => pages.CartPage)
const LoginPage = visitors((pages) => pages.LoginPage)
const RegisterPage = visitors((pages) => pages.RegisterPage)
const ForgottenPage = lazily(() => import('./pages/ForgottenPage'), 'nobody')
const ResetPage = lazily(() => import('./pages/ResetPage'), 'nobody')
const CheckoutPage = lazily(() => import('./pages/CheckoutPage'), 'members')
const OrdersPage = lazily(() => import('./pages/OrdersPage'), 'members')
const OrderPage = lazily(() => import('./pages/OrderPage'), 'members')
const ProfilePage = lazily(() => import('./pages/ProfilePage'), 'members')

const routes: readonly Route[] = [
  { pattern: '/', page: () => <CataloguePage /> },
  { pattern: '/product/:id', page: ({ id = '' }) => <ProductPage key={id} id={id} /> },
  { pattern: '/cart', page: () => <CartPage /> },
  { pattern: '/login', page: () => guest(<LoginPage />) },
  { pattern: '/register', page: () => guest(<RegisterPage />) },
  { pattern: '/forgotten', page: () => guest(<ForgottenPage />) },
  { pattern: '/reset/:token', page: ({ token = '' }) => <ResetPage key={token} token={token} /> },
  { pattern: '/checkout', page: () => member(<CheckoutPage />) },
  { pattern: '/orders', page: () => member(<OrdersPage />) },
  { pattern: '/orders/:id', page: ({ id = '' }) => member(<OrderPage key={id} id={id} />) },
  { pattern: '/profile', page: () => member(<ProfilePage />) },
]

export function App() {
  const path = usePath()
  useEffect(dropWhatIsOfOthers, [])
  const isMember = session.useToken() !== null
  useEffect(() => loadWhenIdle('everybody'), [])
  useEffect(() => {
    if (isMember) loadWhenIdle('members')
  }, [isMember])
  useScroll(path)
  return (
    <>
      <SkipLink />
      <Header />
      <main id="main" tabIndex={-1}>
        <Rescue key={path}>
          <Suspense fallback={<PageSkeleton />}>{find(routes, path) ?? <MissingPage />}</Suspense>
        </Rescue>
      </main>
      <Footer />
      <Toasts />
    </>
  )
}

function member(page: ReactNode) {
  return <Member>{page}</Member>
}

function guest(page: ReactNode) {
  return <Guest>{page}</Guest>
}

/** A page for who is logged in; others log in first, and come back. */
function Member({ children }: { children: ReactNode }) {
  const path = usePath()
  const user = session.useUser()
  const isLoggedIn = session.useToken() !== null
  useEffect(() => {
    if (isLoggedIn) return session.forgetWanted()
    session.remember(path)
    navigate('/login', { replace: true })
  }, [isLoggedIn, path])
  // What one person has typed into a page is not left there for the next.
  return isLoggedIn ? <Fragment key={user?.id}>{children}</Fragment> : null
}

/** A page for who is not; after the login it is left for the page that was wanted. */
function Guest({ children }: { children: ReactNode }) {
  const isLoggedIn = session.useToken() !== null
  useEffect(() => {
    if (isLoggedIn) navigate(session.wanted(), { replace: true })
  }, [isLoggedIn])
  return isLoggedIn ? null : children
}

/** The catalogue is everybody's, all else is of the user who asked, or who typed it. */
function dropWhatIsOfOthers() {
  const ends = [
    session.token.subscribe(() => forget((key) => !key.startsWith('product'))),
    session.user.subscribe(() => {
      const user = session.user.get()
      if (user) dropDraftOfOthers(user.id)
    }),
  ]
  return () => {
    for (const end of ends) end()
  }
}

/** A button, since a link to a fragment would be a route. */
function SkipLink() {
  return (
    <button type="button" className="skip-link" onClick={() => document.getElementById('main')?.focus()}>
      Skip to content
    </button>
  )
}
