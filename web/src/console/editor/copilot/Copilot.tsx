/** A second pair of eyes: explains, mends, suggests and writes, by rules, and by a model where the process has one. Nothing is changed before somebody has seen what and agreed. */
import './Copilot.css'
import { useEffect, useRef, useState } from 'react'
import { explain } from '../../copilot/explain.ts'
import { outcomeOf } from '../../copilot/proposal.ts'
import { useEditor, useModel, useShown } from '../documents.ts'
import { SidePanel } from '../SidePanel.tsx'
import { view } from '../view.ts'
import { Ask } from './Ask.tsx'
import { Mending } from './Mending.tsx'
import { type Offer, ProposalCard } from './ProposalCard.tsx'
import { Suggestions } from './Suggestions.tsx'

export default function Copilot() {
  const { text } = useShown()
  const model = useModel()
  const [offer, setOffer] = useState<Offer | null>(null)
  const panel = useRef<HTMLElement>(null)
  const focus = () => panel.current?.querySelector('textarea')?.focus()
  useEffect(() => panel.current?.querySelector('textarea')?.focus(), [])
  const close = () => {
    view({ copilot: false })
    document.querySelector<HTMLElement>('.tool-copilot')?.focus()
  }
  const propose: Propose = ({ title, why, make, left = [] }) => {
    const outcome = outcomeOf(model, { make })
    if ('refusal' in outcome) return outcome.refusal
    setOffer({ title, why, left, from: text, to: outcome.text })
    return null
  }
  const done = () => {
    setOffer(null)
    requestAnimationFrame(focus)
  }
  // Another text is another question.
  const shown = offer?.from === text ? offer : null
  return (
    <SidePanel
      name="copilot"
      id="panel-copilot"
      heading="AI Copilot"
      closing="Close the copilot"
      onClose={close}
      panel={panel}
    >
      {!shown?.by && <p className="copilot-by">By rules, in this browser: no model, no network.</p>}
      {shown && <ProposalCard key={shown.to} offer={shown} onDone={done} />}
      <div hidden={shown !== null}>
        <Ask propose={propose} onOffer={setOffer} />
        <Mending propose={propose} onOffer={setOffer} />
        <About />
        <Suggestions propose={propose} />
      </div>
    </SidePanel>
  )
}

/** Shows what a gesture would do. Gives why it cannot be made, or `null`. */
export type Propose = (wanted: {
  title: string
  why: string
  make: Parameters<typeof outcomeOf>[1]['make']
  left?: readonly string[]
}) => string | null

/** What is selected, in plain words. */
function About() {
  const model = useModel()
  const selection = useEditor((state) => state.selection)
  const { title, sentences } = explain(model, selection)
  return (
    <section className="copilot-part" aria-labelledby="copilot-about">
      <h3 id="copilot-about">Explain: {title}</h3>
      <div className="copilot-words" aria-live="polite">
        {sentences.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
      </div>
    </section>
  )
}
