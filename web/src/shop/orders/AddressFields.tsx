/** Where an order goes. */
import { Field } from '../ui/Field'
import { TEST_ZIPS } from './payment'

interface Props {
  /** What is wrong, by the name of the field. */
  complaints: Readonly<Record<string, string>>
  /** What was filled in before. */
  kept: Readonly<Record<string, string>>
}

const FIELDS = [
  { name: 'address', label: 'Street Address', autoComplete: 'street-address', maxLength: 200 },
  { name: 'city', label: 'City', autoComplete: 'address-level2', maxLength: 200 },
  { name: 'state', label: 'State', autoComplete: 'address-level1', maxLength: 200 },
  { name: 'zip', label: 'ZIP Code', autoComplete: 'postal-code', maxLength: 20, inputMode: 'numeric' },
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

/** By the name of the field. The store says what it takes in bytes, which helps nobody. */
export function addressComplaints(wrong: readonly string[], given: FormData): Readonly<Record<string, string>> {
  return Object.fromEntries(wrong.map((name) => [name, complaint(name, String(given.get(name) ?? '').trim())]))
}

function complaint(name: string, given: string): string {
  if (given === '') return 'Please fill this in.'
  if (name === 'zip') return 'A ZIP code has five digits, such as 97201, or nine, such as 97201-1234.'
  return 'This is too long for a label.'
}
