/** How two texts differ: the lines that came and went with some around them, and in them the words. */
import './Difference.css'
import { useMemo } from 'react'
import { counted, type Hunk, hunksOf, type Line } from '../difference'

interface Props {
  /** What the texts are. */
  label: string
  from: string
  to: string
}

/** So many lines are shown; nobody reads more of them here. */
const MOST_LINES = 1_500
const SIGNS: Record<Line['kind'], string> = { same: ' ', gone: '−', new: '+' }
const WORDS: Record<Line['kind'], string> = { same: '', gone: 'removed: ', new: 'added: ' }

export function Difference({ label, from, to }: Props) {
  const hunks = useMemo(() => hunksOf(from, to), [from, to])
  const { gone, come } = counted(hunks)
  if (hunks.length === 0) return <p className="difference-none">{label}: the texts are the same.</p>
  const { shown, left } = fewOf(hunks)
  return (
    <figure className="difference">
      <figcaption>
        {label}: <b className="difference-new">{lines(come)} added</b>,{' '}
        <b className="difference-gone">{lines(gone)} removed</b>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys */}
      <section className="difference-lines" aria-label={label} tabIndex={0}>
        {shown.map((hunk) => (
          <ol key={`${hunk[0]?.old} ${hunk[0]?.new}`}>
            {hunk.map((line) => (
              <Row key={`${line.old} ${line.new}`} line={line} />
            ))}
          </ol>
        ))}
        {left > 0 && <p>{lines(left)} more</p>}
      </section>
    </figure>
  )
}

function Row({ line: { kind, old, new: now, words } }: { line: Line }) {
  return (
    <li data-kind={kind}>
      <span className="difference-number">{now ?? old}</span>
      <span aria-hidden="true">{SIGNS[kind]}</span>
      <code>
        <span className="sr-only">{WORDS[kind]}</span>
        {words.map(({ text, isOwn }, index) =>
          // biome-ignore lint/suspicious/noArrayIndexKey: the words of a line have no other name
          isOwn ? <mark key={index}>{text}</mark> : text,
        )}
      </code>
    </li>
  )
}

function lines(count: number): string {
  return `${count} ${count === 1 ? 'line' : 'lines'}`
}

function fewOf(hunks: readonly Hunk[]): { shown: Hunk[]; left: number } {
  const shown: Hunk[] = []
  let room = MOST_LINES
  for (const hunk of hunks) {
    if (room > 0) shown.push(hunk.slice(0, room))
    room -= hunk.length
  }
  return { shown, left: Math.max(-room, 0) }
}
