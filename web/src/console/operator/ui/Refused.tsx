/** Why something is not offered to whoever looks. */
import './Refused.css'
import { type Need, ROLES, useProcess } from '../process'

export function Refused({ need }: { need: Need }) {
  const { process } = useProcess()
  if (!process || process.may.includes(need)) return null
  return (
    <p className="refused">
      {process.write
        ? `To change anything here takes the role ${ROLES[need]}.`
        : 'This process may only be looked at: `write` of its operator.api is false.'}
    </p>
  )
}
