/** The refunds of an order, and the form for another. What was never paid has none. */
import { useRef, useState } from 'react'
import { outdate, useAction, useAnswer } from '../../shared/answers'
import { ApiError, explain } from '../../shared/api/errors'
import { newKey } from '../../shared/desk/api/call'
import * as session from '../../shared/desk/session'
import { Badge, StateBadge } from '../../shared/desk/ui/Badge'
import { Dialog } from '../../shared/desk/ui/Dialog'
import { Panel } from '../../shared/desk/ui/Panel'
import { type Column, Table } from '../../shared/desk/ui/Table'
import { PartTrouble } from '../../shared/desk/ui/Trouble'
import { dateTime, money } from '../../shared/format'
import { Field, FormError, TextField, useFocusOnError } from '../../shared/ui/Field'
import { toast } from '../../shared/ui/toasts'
import * as api from '../api/orders'
import { counts, isGoingOn, refundsKeyOf, SENT, type Sums, sums, wrongAmount } from '../refunds'

const COLUMNS: readonly Column<api.Refund>[] = [
  { name: 'When', width: '9rem', cell: ({ createdAt }) => <time dateTime={createdAt}>{dateTime(createdAt)}</time> },
  {
    name: 'State',
    width: '1.5fr',
    cell: ({ state, attention }) => (
      <span className="badges">
        <StateBadge state={state} /> {attention && <Badge mood="warn">needs a person</Badge>}
      </span>
    ),
  },
  { name: 'Amount', width: '6rem', isNumber: true, cell: ({ amount }) => money(amount / 100) },
  {
    name: 'Why',
    width: '2fr',
    cell: ({ reason, restock }) => (
      <div>
        {reason}
        {restock && <span className="table-sub">goods back on the shelf</span>}
      </div>
    ),
  },
]

const LOOK_MS = 3_000

export function Refunds({ order }: { order: api.Order }) {
  const isPaid = order.history.some(({ to }) => to === 'paid') || 'transaction_id' in order.results
  return isPaid ? <Paid order={order} /> : null
}

function Paid({ order }: { order: api.Order }) {
  const [isOpen, setOpen] = useState(false)
  const mayRefund = session.has(session.useClaims().roles, 'finance')
  const { data, error, refresh } = useAnswer(refundsKeyOf(order.id), (signal) => api.refunds(order.id, signal), {
    every: (refunds) => (refunds?.some(isGoingOn) ? LOOK_MS : undefined),
  })
  const found = data && sums(Math.round(order.total * 100), data)
  const retry = useAction(api.retryRefund, { onSuccess: () => refresh() })
  const again: Column<api.Refund> = {
    name: 'Change',
    width: '6.5rem',
    cell: ({ id, actions }) =>
      actions.includes('retry') && (
        <button type="button" className="table-button" aria-disabled={retry.isPending} onClick={() => retry.run(id)}>
          Try again
        </button>
      ),
  }
  const done = () => {
    setOpen(false)
    refresh()
    outdate((key) => key === `admin/order/${order.id}`)
    toast('success', 'The refund is on its way')
  }
  return (
    <Panel
      title="Refunds"
      aside={
        mayRefund &&
        found &&
        found.left > 0 && (
          <button type="button" className="button button-quiet" onClick={() => setOpen(true)}>
            Refund…
          </button>
        )
      }
    >
      {!data && error !== undefined && <PartTrouble error={error} retry={refresh} />}
      {found && <p role="status">{words(found, order.total)}</p>}
      {data && data.length > 0 && (
        <Table
          label="Refunds"
          columns={mayRefund ? [...COLUMNS, again] : COLUMNS}
          rows={data}
          keyOf={({ id }) => id}
          empty={null}
        />
      )}
      {retry.error !== undefined && <FormError>{explain(retry.error)}</FormError>}
      {isOpen && found && (
        <RefundDialog
          order={order}
          left={found.left}
          mayRestock={SENT.includes(order.state) && !data?.some((one) => one.restock && counts(one))}
          onTaken={refresh}
          onDone={done}
          onClose={() => setOpen(false)}
        />
      )}
    </Panel>
  )
}

function words({ refunded, open }: Sums, total: number): string {
  const said =
    refunded > 0 ? `Refunded ${money(refunded / 100)} of ${money(total)}.` : `Nothing of ${money(total)} was refunded.`
  return open > 0 ? `${said} ${money(open / 100)} is on its way.` : said
}

interface DialogProps {
  order: api.Order
  left: number
  /** The goods were sent, and no refund before has put them back. */
  mayRestock: boolean
  onTaken: () => void
  onDone: () => void
  onClose: () => void
}

function RefundDialog({ order, left, mayRestock, onTaken, onDone, onClose }: DialogProps) {
  const [amount, setAmount] = useState((left / 100).toFixed(2))
  const [reason, setReason] = useState('')
  const [restock, setRestock] = useState(false)
  const [tries, setTries] = useState(0)
  const isTried = tries > 0
  const form = useRef<HTMLFormElement>(null)
  // One refund however often the button is pressed; another sum is another refund.
  const [key, setKey] = useState(newKey)
  const refund = useAction((body: api.NewRefund) => api.refund(body, key), {
    onSuccess: onDone,
    onError: (error) => {
      // Somebody else refunds the same order: what is left is another sum now, and this is another refund.
      if (error instanceof ApiError && error.failure === 'conflict') {
        setKey(newKey())
        onTaken()
      }
    },
  })
  const wrong = isTried ? wrongAmount(amount, left) : undefined
  const fields = refund.error instanceof ApiError ? refund.error.fields : {}
  const isWrong = wrong !== undefined || (isTried && !reason.trim())
  useFocusOnError(form, refund.error ?? (isWrong ? tries : undefined))
  return (
    <Dialog title="Refund" onClose={onClose}>
      <p>
        {money(left / 100)} of {money(order.total)} can be refunded. The money goes back the way it came.
        {order.state === 'ship_failed' && ' An order of which all is refunded is cancelled and not sent any more.'}
      </p>
      <form
        ref={form}
        className="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          setTries(tries + 1)
          const body = { orderId: order.id, amount: Math.round(Number(amount) * 100), reason: reason.trim(), restock }
          if (!wrongAmount(amount, left) && body.reason) refund.run(body)
        }}
      >
        <Field
          label="Amount in dollars"
          type="number"
          inputMode="decimal"
          step="0.01"
          min="0.01"
          required
          value={amount}
          error={wrong ?? fields.amount}
          onChange={(event) => {
            setAmount(event.currentTarget.value)
            setKey(newKey())
          }}
        />
        <TextField
          label="Reason"
          rows={2}
          required
          maxLength={500}
          hint="The customer sees it. It is kept in the audit log with your name."
          value={reason}
          error={isTried && !reason.trim() ? 'Say why: it is asked later.' : fields.reason}
          onChange={(event) => {
            setReason(event.currentTarget.value)
            setKey(newKey())
          }}
        />
        {mayRestock && (
          <label className="check">
            <input
              type="checkbox"
              checked={restock}
              onChange={(event) => {
                setRestock(event.currentTarget.checked)
                setKey(newKey())
              }}
            />
            The goods are back: put all of them on the shelf
          </label>
        )}
        {refund.error !== undefined && Object.keys(fields).length === 0 && (
          <FormError>{explain(refund.error)}</FormError>
        )}
        <div className="actions">
          <button type="button" className="button button-quiet" onClick={onClose}>
            Close
          </button>
          <button type="submit" className="button" aria-disabled={refund.isPending}>
            {refund.isPending ? 'One moment…' : `Refund ${amount ? money(Number(amount)) : ''}`}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
