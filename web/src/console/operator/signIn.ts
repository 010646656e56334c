/** The way to the sign-in, and back to where somebody was: what they were about to do waits there. */
import { match, useAddress, useQuery, withQuery } from '../../shared/router'

const PAGE = '/sign-in'
/** Of who has asked for nothing but to be signed in. */
const FIRST = '/instances'

function isSignIn(address: string): boolean {
  return match(PAGE, address.replace(/\?.*$/, '')) !== undefined
}

/** The address of the sign-in, which leads back to what is shown, with all that it was asked for. */
export function useSignIn(): string {
  const address = useAddress()
  const back = useQuery().get('back') ?? undefined
  return withQuery(PAGE, { back: isSignIn(address) ? back : address })
}

/** Where to go on once signed in; nowhere for a page that is shown in the place of another one. */
export function useWayBack(): string | undefined {
  const address = useAddress()
  const back = useQuery().get('back')
  if (!isSignIn(address)) return undefined
  return back && /^\/(?!\/)/.test(back) && !isSignIn(back) ? back : FIRST
}
