/** What every page ends with. */
import './Footer.css'

export function Footer() {
  return (
    <footer className="site-footer">
      <p>Millrace is a test store: no money moves, and no parcel leaves.</p>
    </footer>
  )
}
