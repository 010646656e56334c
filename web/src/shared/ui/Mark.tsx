/** The sign of the project. */
import './Mark.css'

/** A mill's wheel in the stream that drives it. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <circle cx="16" cy="13" r="8.5" />
      <path d="M16 2v22M5 13h22M8.2 5.200l15.6 15.600M23.8 5.2 8.2 20.8" />
      <path className="mark-water" d="M1 27c3.7-3.3 6.3-3.3 10 0s6.3 3.3 10 0 6.3-3.3 10 0" />
    </svg>
  )
}
