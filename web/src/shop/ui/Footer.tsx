/** What every page ends with. */

export function Footer() {
  return (
    <footer className="site-footer">
      <p>Millrace is a test store: no money moves, and no parcel leaves.</p>
    </footer>
  )
}
