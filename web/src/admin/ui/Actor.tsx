/** Who has done something, and who has ordered. Records name accounts by their ids; names are looked up by who may. */
import { useAnswer } from '../../shared/answers'
import * as session from '../../shared/desk/session'
import { Link, withQuery } from '../../shared/router'
import { contactOf } from '../api/people'

export function Actor({ id }: { id: string }) {
  const looksUp = useLooksUp()
  const own = session.useSession()?.user
  if (id === own?.id) return <span title={own.email}>{own.name}</span>
  if (!isAccount(id)) return id
  return looksUp ? <Named id={id} /> : <Unnamed id={id} />
}

/** Commands and the shop itself have names of their own. */
function isAccount(id: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id)
}

/** A customer by name and e-mail, which leads to all that they have ordered. */
export function Customer({ id, email }: { id: string; email: string }) {
  const all = (words: string) => withQuery('/orders', { search: words })
  const looksUp = useLooksUp()
  if (email || !looksUp || !isAccount(id)) return <Link to={all(email || id)}>{email || <Unnamed id={id} />}</Link>
  return <Contact id={id} to={all(id)} />
}

function Contact({ id, to }: { id: string; to: string }) {
  const { data } = useContact(id)
  if (!data)
    return (
      <Link to={to}>
        <Unnamed id={id} />
      </Link>
    )
  return (
    <>
      <bdi>{data.name}</bdi>
      <br />
      <Link to={to}>
        {data.email}
        <span className="sr-only">, all orders</span>
      </Link>
    </>
  )
}

function useLooksUp(): boolean {
  const { roles } = session.useClaims()
  return session.has(roles, 'support', 'finance', 'admin')
}

function useContact(id: string) {
  return useAnswer(`admin/person/${id}`, (signal) => contactOf(id, signal))
}

function Named({ id }: { id: string }) {
  const { data } = useContact(id)
  return data ? <span title={data.email}>{data.name}</span> : <Unnamed id={id} />
}

function Unnamed({ id }: { id: string }) {
  return <span title={id}>account {id.slice(-8)}</span>
}
