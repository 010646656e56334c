/** The way to the sign-in, and back to where somebody was: what they were about to do waits there. */
import { usePath, useQuery, withQuery } from '../../shared/router'

const PAGE = '/sign-in'
/** Of who has asked for nothing but to be signed in. */
const FIRST = '/instances'

/** The address of the sign-in, which leads back to the page that is shown. */
export function useSignIn(): string {
  const path = usePath()
  const { back } = Object.fromEntries(useQuery())
  return withQuery(PAGE, { back: path === PAGE ? back : path })
}

/** Where to go on once signed in; nowhere for a page that is shown in the place of another one. */
export function useWayBack(): string | undefined {
  const path = usePath()
  const back = useQuery().get('back')
  if (path !== PAGE) return undefined
  return back?.startsWith('/') && !back.startsWith(PAGE) ? back : FIRST
}
