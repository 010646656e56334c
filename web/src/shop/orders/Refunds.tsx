/** What was given back of an order, as new as it can be had. */
import './Refunds.css'

import { useAnswer } from '../../shared/answers'
import { ApiError } from '../../shared/api/errors'
import { money } from '../../shared/format'
import * as api from '../api/client'
import type { Order, Refund } from '../api/resources'
import { isGivenBack, refunded, refundsOf } from './refund'

const LOOK_MS = { open: 3_000, quiet: 15_000 }

/** Of a store that gives nothing back, and of an order that nothing was paid for, there is none. */
export function Refunds({ order }: { order: Order }) {
  const isPaid = order.results.transactionId !== undefined
  const key = isPaid ? `refunds/${order.id}` : 'refunds'
  const { data } = useAnswer<Refund[]>(key, (signal) => (isPaid ? found(order.id, signal) : Promise.resolve([])), {
    every: (refunds) => {
      if (!isPaid || !refunds) return undefined
      return refunds.every(({ isFinal }) => isFinal) ? LOOK_MS.quiet : LOOK_MS.open
    },
  })
  const refunds = refundsOf(data ?? [])
  if (refunds.length === 0) return null
  const sum = refunded(refunds)
  return (
    <div className="refunds" role="status">
      {sum > 0 && (
        <p className="refunds-sum">
          Refunded {money(sum)} of {money(order.total)}
        </p>
      )}
      <ul>
        {refunds.map((refund) => (
          <li key={refund.id}>
            <span>{refund.reason}</span>
            <span>{isGivenBack(refund) ? money(refund.amount) : `${money(refund.amount)}, on its way`}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

async function found(id: string, signal: AbortSignal): Promise<Refund[]> {
  try {
    return await api.refunds(id, signal)
  } catch (error) {
    if (error instanceof ApiError && error.failure === 'missing') return []
    throw error
  }
}
