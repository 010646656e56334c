/** The process that the pages ask, and what whoever looks may do there. */
import { useEffect } from 'react'
import { forget, useAnswer } from '../../shared/answers'
import * as desk from '../../shared/desk/session'
import * as api from './api'

export type Need = 'see' | 'act' | 'mend' | 'design' | 'deploy' | 'consult'

const KEY = 'console/session'
/** Between two looks for a process that does not answer. */
const LOOK_MS = 3_000

export function useProcess() {
  const { data, error, refresh } = useAnswer<api.Session>(KEY, (signal) => api.session(signal), {
    every: (known) => (known ? undefined : LOOK_MS),
  })
  return { process: data, error, refresh }
}

export function useMay(need: Need): boolean {
  return useProcess().process?.may.includes(need) ?? false
}

/** What may be done, by what it takes, in the words of a config. */
export const ROLES: Readonly<Record<Need, string>> = {
  see: 'support, operator, designer or admin',
  act: 'support or operator',
  mend: 'operator',
  design: 'designer',
  deploy: 'admin',
  consult: 'designer',
}

/** What one person was shown is not there for the next. */
export function useForgetting() {
  useEffect(() => {
    let before = desk.get()?.user.id
    const end = desk.subscribe(() => {
      const now = desk.get()?.user.id
      if (now !== before) forget(() => true)
      before = now
    })
    return () => void end()
  }, [])
}
