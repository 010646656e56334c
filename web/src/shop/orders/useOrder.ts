/** One order, as new as it can be had: by its events, and by looking again while there are none. */
import { useEffect, useState } from 'react'
import { peek, put, useAnswer } from '../../shared/answers'
import { useToken } from '../../shared/session'
import * as api from '../api/client'
import { type Order, withChange } from '../api/resources'
import { newer, orderKey } from '../queries'
import { follow, type Link } from './follow'
import { isRefusal } from './refusal'

/** Between two looks, by what brings the changes meanwhile. */
const LOOK_MS: Record<Link, number> = {
  live: 15_000,
  // One person looks at one tab at a time, and a dozen open ones must not use up what the store allows a customer.
  shared: 5_000,
  connecting: 2_000,
  broken: 2_000,
  offline: 2_000,
}
/** While something waits to be tried again: no event tells that the customer may ask for it once more, and no pause is longer. */
const PAUSE_MS = 5_000

export function useOrder(id: string) {
  const key = orderKey(id)
  const token = useToken()
  const [link, setLink] = useState<Link>('connecting')
  const answer = useAnswer<Order>(key, async (signal) => newer(peek(key), await api.order(id, signal)), {
    every: (order) => {
      if (!order || order.isFinal) return undefined
      return order.next ? Math.min(LOOK_MS[link], PAUSE_MS) : LOOK_MS[link]
    },
  })

  const { refresh } = answer
  const isFollowed = answer.data?.isFinal === false
  useEffect(() => {
    if (!isFollowed || !token) return
    return follow(id, {
      token,
      after: peek<Order>(key)?.history.at(-1)?.seq ?? 0,
      onLink: setLink,
      onChange: (change) => {
        const order = peek<Order>(key)
        if (order) put(key, withChange(order, change))
        // The event says what has happened, the answer also what will.
        if (isRefusal(change.state)) refresh()
      },
    })
  }, [isFollowed, token, id, key, refresh])
  return { answer, link }
}
