// The rule, without a sandbox.

/** Whether a total is within the limit, and how near it is, from 0 to 1. */
export function check(total: number, limit: number): { isFine: boolean; score: number } {
  return { isFine: total <= limit, score: Math.round(Math.min(total / limit, 1) * 1000) / 1000 };
}
