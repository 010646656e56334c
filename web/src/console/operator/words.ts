/** Times and sizes as the pages say them. */

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const

/** How long, in the largest unit that fits: `3 h`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  for (const [unit, size] of UNITS) if (whole >= size) return `${Math.floor(whole / size)} ${unit}`
  return `${whole} s`
}

/** How long ago, from an instant as the API writes it. */
export function ago(iso: string, now = Date.now()): string {
  return `${span((now - Date.parse(iso)) / 1000)} ago`
}

/** A time that something took: `12 ms`, `1.2 s`. */
export function took(seconds: number | null): string {
  if (seconds === null) return '–'
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`
  return seconds < 60 ? `${seconds.toFixed(1)} s` : span(seconds)
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} bytes`
  const [size, unit] = count < 1024 ** 2 ? [count / 1024, 'KiB'] : [count / 1024 ** 2, 'MiB']
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`
}

/** What tells versions apart. */
export function short(digest: string): string {
  return digest.slice(0, 8)
}

/** Who has done something: an account by the end of its id, anything else by its name. */
export function actor(who: string): string {
  return who.length > 20 ? `account ${who.slice(-8)}` : who
}
