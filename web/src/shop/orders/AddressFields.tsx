/** Where an order goes. */
import './AddressFields.css'
import { Field } from '../../shared/ui/Field'
import { TEST_ZIPS } from './payment'

interface Props {
  /** What is wrong, by the name of the field. */
  complaints: Readonly<Record<string, string>>
  /** What was filled in before. */
  kept: Readonly<Record<string, string>>
}

const FIELDS = [
  { name: 'address', label: 'Street Address', autoComplete: 'street-address' },
  { name: 'city', label: 'City', autoComplete: 'address-level2' },
  { name: 'state', label: 'State', autoComplete: 'address-level1' },
  { name: 'zip', label: 'ZIP Code', autoComplete: 'postal-code', inputMode: 'numeric' },
] as const

export function AddressFields({ complaints, kept }: Props) {
  return (
    <section className="panel" aria-labelledby="where-to">
      <h2 id="where-to">Where to</h2>
      <div className="address">
        {FIELDS.map((field) => (
          <Field key={field.name} {...field} required defaultValue={kept[field.name]} error={complaints[field.name]} />
        ))}
      </div>
      <details className="hints">
        <summary>Codes that make the carrier fail</summary>
        <ul>
          {TEST_ZIPS.map(({ zip, outcome }) => (
            <li key={zip}>
              <code>{zip}</code> {outcome}
            </li>
          ))}
        </ul>
      </details>
    </section>
  )
}

/** By the name of the field, in the words of the store, which knows the rules. */
export function addressComplaints(
  details: Readonly<Record<string, string>>,
  given: FormData,
): Readonly<Record<string, string>> {
  const told = (name: string, detail: string) =>
    String(given.get(name) ?? '').trim() ? detail : 'Please fill this in.'
  return Object.fromEntries(Object.entries(details).map(([name, detail]) => [name, told(name, detail)]))
}
