/** Who has done something. Records name accounts by their ids; names are looked up by who may. */
import { useAnswer } from '../../shared/answers'
import * as session from '../../shared/desk/session'
import { accountOf } from '../api/people'

export function Actor({ id }: { id: string }) {
  const { roles } = session.useClaims()
  const own = session.useSession()?.user
  if (id === own?.id) return <span title={own.email}>{own.name}</span>
  if (!isAccount(id)) return id
  return session.has(roles, 'admin') ? <Named id={id} /> : <Unnamed id={id} />
}

/** Commands and the shop itself have names of their own. */
function isAccount(id: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id)
}

function Named({ id }: { id: string }) {
  const { data } = useAnswer(`admin/person/${id}`, (signal) => accountOf(id, signal))
  return data ? <span title={data.email}>{data.name}</span> : <Unnamed id={id} />
}

function Unnamed({ id }: { id: string }) {
  return <span title={id}>account {id.slice(-8)}</span>
}
