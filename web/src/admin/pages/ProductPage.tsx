/** One product: what is sold, for how much, and whether it is. */

import { useState } from 'react'
import { outdate, put, useAction, useAnswer } from '../../shared/answers'
import { ApiError, explain } from '../../shared/api/errors'
import { newKey } from '../../shared/desk/api/call'
import * as session from '../../shared/desk/session'
import { Facts, Panel } from '../../shared/desk/ui/Panel'
import { PartTrouble, Trouble } from '../../shared/desk/ui/Trouble'
import { dateTime, money } from '../../shared/format'
import { Link, navigate } from '../../shared/router'
import { BackLink } from '../../shared/ui/BackLink'
import { Heading, Skeleton } from '../../shared/ui/Page'
import { toast } from '../../shared/ui/toasts'
import * as api from '../api/catalogue'
import { carryDraft, draftKey, forgetDraft } from '../drafts'
import { Actor } from '../ui/Actor'
import { type ProductDraft, ProductForm } from '../ui/ProductForm'

function keyOf(id: string) {
  return `admin/product/${id}`
}

/** Lists show what has changed the next time that they are looked at. */
function keep(product: api.Product) {
  put(keyOf(product.id), product)
  outdate(
    (key) => key.startsWith('admin/products') || key.startsWith('admin/stock') || key === `admin/prices/${product.id}`,
  )
}

/** Without an id a new one. */
export default function ProductPage({ id }: { id: string | undefined }) {
  return id === undefined ? <NewProduct /> : <KnownProduct id={id} />
}

function Back() {
  return <BackLink to="/products">Products</BackLink>
}

const EMPTY: api.ProductData = { name: '', price: 0, category: '', description: '', image: '', status: 'draft' }

function NewProduct() {
  const [key] = useState(newKey)
  const draft = draftKey(session.useSession()?.user.id, 'new', 0)
  const create = useAction((data: api.ProductData, id: string) => api.createProduct(id, data, key), {
    onSuccess: (product) => {
      forgetDraft(draft)
      keep(product)
      toast('success', `${product.name} is there`)
      navigate(`/products/${encodeURIComponent(product.id)}`, { replace: true })
    },
  })
  return (
    <div className="page">
      <Back />
      <Heading>New product</Heading>
      <div className="split">
        <Panel title="What is sold">
          <ProductForm product={EMPTY} isNew draft={draft} action="Create product" submit={create} />
        </Panel>
        <Panel title="What follows">
          <p>
            A draft is seen by nobody but those who work here. Units come with a move of the stock, once the product is
            there.
          </p>
        </Panel>
      </div>
    </div>
  )
}

function KnownProduct({ id }: { id: string }) {
  const { data, error, refresh } = useAnswer(keyOf(id), (signal) => api.product(id, signal))
  if (error !== undefined && !data)
    return <Trouble error={error} retry={refresh} what="product" back={{ to: '/products', name: 'See all products' }} />
  return (
    <div className="page">
      <Back />
      {data ? <Editor product={data} /> : <Skeleton className="skeleton-block" label="Loading the product" />}
    </div>
  )
}

/** What the form began with stays the base of the merge, whatever the list or another tab has brought meanwhile. */
function Editor({ product }: { product: api.Product }) {
  const [base, setBase] = useState(product)
  const [theirs, setTheirs] = useState<api.Product>()
  const [isRetiring, setRetiring] = useState(false)
  const person = session.useSession()?.user.id
  const draft = (product: api.Product) => draftKey(person, product.id, product.version)
  const saved = (changed: api.Product) => {
    keep(changed)
    setBase(changed)
    setTheirs(undefined)
    toast('success', 'Saved')
  }
  const save = useAction(
    (data: api.ProductData) =>
      api.changeProduct(base.id, (theirs ?? base).version, { ...(theirs ?? base).data, ...data }),
    {
      onSuccess: (changed) => {
        forgetDraft(draft(base))
        saved(changed)
      },
      onError: (error) => {
        if (isOutdated(error)) look.run()
      },
    },
  )
  const look = useAction(() => api.product(base.id), { onSuccess: setTheirs })
  const retire = useAction((status: api.Status) => api.changeProduct(base.id, base.version, { ...base.data, status }), {
    onSuccess: (changed) => {
      setRetiring(false)
      const { status } = changed
      carryDraft<ProductDraft>(draft(base), draft(changed), (typed) => ({ ...typed, mine: { ...typed.mine, status } }))
      saved(changed)
    },
    onError: (error) => {
      if (isOutdated(error)) look.run()
    },
  })
  const isRetired = base.status === 'retired'
  return (
    <>
      <Heading>{base.name}</Heading>
      <div className="split">
        <Panel title="What is sold">
          <ProductForm
            key={base.version}
            draft={draft(base)}
            product={base}
            theirs={theirs}
            action={theirs ? 'Save both' : 'Save'}
            submit={{ ...save, error: isOutdated(save.error) ? undefined : save.error }}
          />
        </Panel>
        <div className="stack">
          <Panel title="About it">
            <Facts
              facts={[
                ['Id', <code key="id">{base.id}</code>],
                [
                  'In stock',
                  <Link key="stock" to={`/stock/${encodeURIComponent(base.id)}`}>{`${base.stock} units`}</Link>,
                ],
                ['Changed', dateTime(base.lastUpdate)],
                ['Version', base.version],
              ]}
            />
          </Panel>
          <Prices id={base.id} />
          <Panel title={isRetired ? 'Sold no more' : 'Stop selling it'}>
            <p>
              {isRetired
                ? 'Customers do not see it. Old orders keep what they had.'
                : 'A retired product is out of the store at once. It stays in old orders, and can be sold again later.'}
            </p>
            <div className="actions">
              {isRetiring && !isRetired ? (
                <>
                  <button
                    type="button"
                    className="button"
                    aria-disabled={retire.isPending}
                    onClick={() => retire.run('retired')}
                  >
                    Yes, retire it
                  </button>
                  <button type="button" className="button button-quiet" onClick={() => setRetiring(false)}>
                    Keep it
                  </button>
                </>
              ) : (
                <button
                  type="button"
                  className="button button-quiet"
                  aria-disabled={retire.isPending}
                  onClick={() => (isRetired ? retire.run('active') : setRetiring(true))}
                >
                  {isRetired ? 'Sell it again' : 'Retire'}
                </button>
              )}
            </div>
            {retire.error !== undefined && !isOutdated(retire.error) && <p role="alert">{explain(retire.error)}</p>}
          </Panel>
        </div>
      </div>
    </>
  )
}

function isOutdated(error: unknown): boolean {
  return error instanceof ApiError && error.problem.status === 412
}

function Prices({ id }: { id: string }) {
  const { data, error, refresh } = useAnswer(`admin/prices/${id}`, (signal) => api.prices(id, signal))
  return (
    <Panel title="Prices so far">
      {data?.length === 0 && <p>The price has not changed yet.</p>}
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      <ul className="lines">
        {data?.map(({ at, price, actor }) => (
          <li key={at}>
            <span>
              {dateTime(at)}
              {actor && (
                <>
                  , <Actor id={actor} />
                </>
              )}
            </span>
            <b>{money(price)}</b>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
