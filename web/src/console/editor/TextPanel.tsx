/** The config as text, beside the drawing. Both are views of one text. */
import './TextPanel.css'
import { useEffect, useRef, useState } from 'react'
import { lens } from '../lens.ts'
import { buffer, select, useEditor, useModel, useShown } from './documents.ts'
import { useProblems } from './problems.ts'
import { selectedRange, selectionAt } from './selection.ts'
import { TextView } from './textView.ts'

export default function TextPanel() {
  const place = useRef<HTMLDivElement>(null)
  const { id } = useShown()
  const model = useModel()
  const selection = useEditor((state) => state.selection)
  const { problems } = useProblems()
  const [text, setText] = useState<TextView | null>(null)
  useEffect(() => {
    if (!place.current) return
    const own = new TextView(place.current, buffer(id), {
      onCursor: (at) => select(selectionAt(lens(buffer(id).text), at)),
    })
    setText(own)
    return () => {
      setText(null)
      own.destroy()
    }
  }, [id])
  useEffect(() => text?.choose(selectedRange(model, selection)), [text, model, selection])
  useEffect(() => text?.tell(problems), [text, problems])
  return <div className="text-panel" ref={place} />
}
