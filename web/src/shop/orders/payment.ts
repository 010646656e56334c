/** The test payments of the simulated gateway, so that anyone can walk every path. */

export interface Payment {
  token: string
  name: string
  /** What will happen. */
  outcome: string
  kind: 'approves' | 'declines' | 'stalls'
}

export const PAYMENTS: readonly Payment[] = [
  { token: 'tok_visa', name: 'Visa 4242', outcome: 'Approved at once', kind: 'approves' },
  { token: 'tok_mastercard', name: 'Mastercard 4444', outcome: 'Approved at once', kind: 'approves' },
  { token: 'tok_amex', name: 'Amex 8431', outcome: 'Approved at once', kind: 'approves' },
  { token: 'tok_gatewayTimeout', name: 'Slow bank', outcome: 'Two time-outs, then approved', kind: 'stalls' },
  { token: 'tok_gatewayDown', name: 'Silent bank', outcome: 'Never answers', kind: 'stalls' },
  { token: 'tok_chargeDeclined', name: 'Empty account', outcome: 'Always declined', kind: 'declines' },
  { token: 'tok_chargeDeclinedExpiredCard', name: 'Expired card', outcome: 'Always declined', kind: 'declines' },
]

export const DEFAULT_PAYMENT = 'tok_visa'

/** Addresses that make the simulated carrier fail. */
export const TEST_ZIPS = [
  { zip: '99998', outcome: 'the carrier stumbles once, then it works' },
  { zip: '99997', outcome: 'the carrier fails, and works when it is tried again' },
  { zip: '00000', outcome: 'no carrier goes there' },
] as const
