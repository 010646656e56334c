/** Numbers and times as the store writes them. */

const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' })
const day = new Intl.DateTimeFormat('en-US', { weekday: 'short', month: 'short', day: 'numeric', timeZone: 'UTC' })
const calendar = new Intl.DateTimeFormat('en-US', { month: 'long', day: 'numeric', year: 'numeric' })
const moment = new Intl.DateTimeFormat('en-US', { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' })
const yearly = new Intl.DateTimeFormat('en-US', {
  month: 'short',
  day: 'numeric',
  year: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
})
const monthly = new Intl.DateTimeFormat('en-US', { month: 'short', day: 'numeric' })
const second = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const instant = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 2,
})

export function money(amount: number): string {
  return dollars.format(amount)
}

/** A date without a time, as the API writes it: `2026-11-26`. */
export function date(iso: string): string {
  return written(iso, (time) => day.format(time))
}

export function fullDate(iso: string): string {
  return written(iso, (time) => calendar.format(time))
}

/** The year is told where it is not this one. */
export function dateTime(iso: string, now = new Date()): string {
  return written(iso, (time) => (isIn(now, time, 4) ? moment : yearly).format(time))
}

export function time(iso: string): string {
  return written(iso, (at) => second.format(at))
}

/** To the hundredth of a second: much happens in one. */
export function exactTime(iso: string): string {
  return written(iso, (at) => instant.format(at))
}

/** The same, with the day where it is not today. */
export function exactMoment(iso: string, now = new Date()): string {
  return written(iso, (at) => (isIn(now, at, 10) ? '' : `${monthly.format(at)}, `) + instant.format(at))
}

/** Whether both are in the same year (4 letters of a date) or on the same day (10), where the reader is. */
function isIn(now: Date, time: Date, letters: 4 | 10): boolean {
  const day = (at: Date) => `${String(at.getFullYear()).padStart(4, '0')}-${at.getMonth() + 10}-${at.getDate() + 10}`
  return day(now).slice(0, letters) === day(time).slice(0, letters)
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(Math.round(ms), 0)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.round(ms / 60_000)} min`
}

/** The end of an order's id, which is what tells orders apart. */
export function orderNumber(id: string): string {
  return id.slice(-8).toUpperCase()
}

/** Of the first and the last name: `Ada King Lovelace` is `AL`. */
export function initials(name: string): string {
  const names = name.split(/\s+/).filter(Boolean)
  const both = names.length > 1 ? [names[0], names.at(-1)] : names
  return both.map((each) => [...(each ?? '')][0]?.toUpperCase() ?? '').join('')
}

export function stateName(state: string): string {
  return state.replaceAll('_', ' ')
}

function written(iso: string, how: (time: Date) => string): string {
  const parsed = new Date(iso)
  return Number.isNaN(parsed.getTime()) ? iso : how(parsed)
}
