/** One order, as new as it can be had: by its events, and by looking again while there are none. */
import { useEffect, useState } from 'react'
import { peek, put, useAnswer } from '../answers'
import * as api from '../api/client'
import { type Order, withChange } from '../api/resources'
import { newer, orderKey } from '../queries'
import { useToken } from '../session'
import { follow, type Link } from './follow'
import { isFinal } from './stages'

/** Between two looks: while the stream brings changes, and while it does not. */
const LOOK_LIVE_MS = 15_000
const LOOK_BLIND_MS = 2_000

export function useOrder(id: string) {
  const key = orderKey(id)
  const token = useToken()
  const [link, setLink] = useState<Link>('connecting')
  const answer = useAnswer<Order>(key, async (signal) => newer(peek(key), await api.order(id, signal)), {
    every: (order) => {
      if (!order || isFinal(order.state)) return undefined
      return link === 'live' ? LOOK_LIVE_MS : LOOK_BLIND_MS
    },
  })

  const isFollowed = answer.data !== undefined && !isFinal(answer.data.state)
  useEffect(() => {
    if (!isFollowed || !token) return
    return follow(id, {
      token,
      after: peek<Order>(key)?.history.at(-1)?.seq ?? 0,
      onLink: setLink,
      onChange: (change) => {
        const order = peek<Order>(key)
        if (order) put(key, withChange(order, change))
      },
    })
  }, [isFollowed, token, id, key])
  return { answer, link }
}
