/** Which test payment. */
import './PaymentChoice.css'
import { DEFAULT_PAYMENT, PAYMENTS } from './payment'

export function PaymentChoice({ name, chosen }: { name: string; chosen: string | undefined }) {
  const first = PAYMENTS.some(({ token }) => token === chosen) ? chosen : DEFAULT_PAYMENT
  return (
    <fieldset className="payments">
      <legend className="sr-only">Test payment</legend>
      {PAYMENTS.map(({ token, name: title, outcome, kind }) => (
        <label key={token} className="payment" data-kind={kind}>
          <input type="radio" name={name} value={token} defaultChecked={token === first} />
          <span className="payment-name">{title}</span>
          <span className="payment-outcome">{outcome}</span>
        </label>
      ))}
    </fieldset>
  )
}
