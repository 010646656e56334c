/** Which roles an account shall have. No role includes another. */
import './Roles.css'
import { ROLE_WORDS, ROLES } from '../../shared/desk/session'

export function Roles({ own }: { own: readonly string[] }) {
  return (
    <fieldset className="roles">
      <legend className="field-label">Roles</legend>
      {ROLES.map((role) => (
        <label key={role} className="check">
          <input type="checkbox" name={`role-${role}`} defaultChecked={own.includes(role)} />
          <span>
            <b>{role}</b> {ROLE_WORDS[role]}
          </span>
        </label>
      ))}
    </fieldset>
  )
}
