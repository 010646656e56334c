/** Two people have changed the same thing: what each of them did to it, and what comes of both. Pure. */

export type Values = Readonly<Record<string, unknown>>

export interface Difference {
  field: string
  base: unknown
  mine: unknown
  theirs: unknown
  /** Both have changed it, and not to the same: somebody has to choose. */
  isConflict: boolean
}

/** Field by field, what `theirs` has that `base` had not, and where `mine` wants something else. */
export function differences(base: Values, mine: Values, theirs: Values): Difference[] {
  const fields = new Set([...Object.keys(base), ...Object.keys(mine), ...Object.keys(theirs)])
  return [...fields]
    .map((field) => {
      const [was, own, other] = [base[field], mine[field], theirs[field]]
      const isConflict = !same(was, own) && !same(was, other) && !same(own, other)
      return { field, base: was, mine: own, theirs: other, isConflict }
    })
    .filter(({ base: was, mine: own, theirs: other }) => !(same(was, own) && same(was, other)))
}

/** Who has changed a field alone is right; where both have, `choices` says whose value it is, and without a choice it is theirs. */
export function merged(
  base: Values,
  mine: Values,
  theirs: Values,
  choices: Readonly<Record<string, 'mine' | 'theirs'>>,
): Values {
  const result: Record<string, unknown> = { ...theirs }
  for (const { field, base: was, mine: own, isConflict } of differences(base, mine, theirs)) {
    const isMine = isConflict ? choices[field] === 'mine' : !same(was, own)
    if (isMine) result[field] = own
  }
  return result
}

function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}
