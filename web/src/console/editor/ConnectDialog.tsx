/** What a line from one module to another means, where that has to be asked. */
import { type FormEvent, useState } from 'react'
import { type Answers, type Choice, connect, type Question } from '../connect.ts'
import { Refusal } from '../edits.ts'
import type { Model } from '../lens.ts'
import { model, perform, say, select, useModel } from './documents.ts'
import { EditorDialog } from './EditorDialog.tsx'

export interface Wanted {
  from: string
  /** `null`: the target is still to be chosen. */
  to: string | null
}

/** Connects at once where only one thing can be meant and nothing has to be asked; else returns what is to be asked. */
export function connectOrAsk({ from, to }: { from: string; to: string }): Wanted | null {
  try {
    const [only, ...more] = connect(model(), from, to)
    if (!only || more.length > 0 || only.asks.length > 0) return { from, to }
    write(only, {}, from, to)
  } catch (error) {
    refuse(error)
  }
  return null
}

function refuse(error: unknown): void {
  if (!(error instanceof Refusal)) throw error
  say('refused', error.message)
}

/** `from` stays selected where its new line would not be seen otherwise. */
function write(choice: Choice, answers: Answers, from: string, to: string): boolean {
  if (!perform(() => choice.make(answers))) return false
  const edge = model().edges.findLast(
    (one) => (one.from === from && one.to === to) || (one.from === to && one.to === from),
  )
  select(edge ? { edge: edge.id } : { modules: [from] })
  return true
}

export function ConnectDialog({ wanted, onClose }: { wanted: Wanted; onClose: () => void }) {
  const [to, setTo] = useState(wanted.to)
  const now = useModel()
  const { from } = wanted
  if (to === null) return <Target model={now} from={from} onClose={onClose} onChosen={setTo} />
  return <Meaning from={from} to={to} onClose={onClose} />
}

/** By words, for those who do not drag a line. */
function Target(props: { model: Model; from: string; onClose: () => void; onChosen: (to: string) => void }) {
  const { model: now, from, onClose, onChosen } = props
  const others = now.modules.filter(({ name }) => name !== from)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const to = String(new FormData(event.currentTarget).get('to') ?? '')
    if (others.some(({ name }) => name === to)) onChosen(to)
  }
  return (
    <EditorDialog title={`Connect ${from}`} onClose={onClose}>
      <form onSubmit={submit}>
        <label className="setting">
          <span className="setting-label">With</span>
          <select name="to" className="setting-input">
            {others.map(({ name, label }) => (
              <option key={name} value={name}>
                {name} ({label})
              </option>
            ))}
          </select>
        </label>
        <Buttons submit="Continue" onClose={onClose} />
      </form>
    </EditorDialog>
  )
}

function Meaning({ from, to, onClose }: { from: string; to: string; onClose: () => void }) {
  const now = useModel()
  const [at, setAt] = useState(0)
  const [answers, setAnswers] = useState<Answers>({})
  const [refusal, setRefusal] = useState('')
  const { choices, reason } = meanings(now, from, to)
  const choice = choices[at]
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!choice) return
    try {
      choice.make(answers)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      setRefusal(error.message)
      return
    }
    if (write(choice, answers, from, to)) onClose()
  }
  return (
    <EditorDialog title={`Connect ${from} and ${to}`} onClose={onClose}>
      <form onSubmit={submit}>
        {reason && <p>{reason}</p>}
        {choices.map(({ label }, index) => (
          <label key={label} className="meaning">
            <input type="radio" name="meaning" checked={index === at} onChange={() => setAt(index)} />
            <span>{label}</span>
          </label>
        ))}
        {choice?.asks.map((question) => (
          <label key={question} className="setting">
            <span className="setting-label">{QUESTIONS[question]}</span>
            <Answer
              question={question}
              model={now}
              answers={answers}
              onAnswer={(answer) => setAnswers({ ...answers, [question]: answer })}
            />
          </label>
        ))}
        {refusal && (
          <p className="dialog-refusal" role="alert">
            {refusal}
          </p>
        )}
        <Buttons submit="Connect" disabled={!choice} onClose={onClose} />
      </form>
    </EditorDialog>
  )
}

function meanings(now: Model, from: string, to: string): { choices: Choice[]; reason: string } {
  try {
    return { choices: connect(now, from, to), reason: '' }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { choices: [], reason: error.message }
  }
}

const QUESTIONS: Record<Question, string> = {
  method: 'Method',
  path: 'Path',
  topic: 'Topic',
  service: 'Service, by the name that the component asks for',
  workflow: 'Workflow',
  state: 'State',
}
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

interface AnswerProps {
  question: Question
  model: Model
  answers: Answers
  onAnswer: (answer: string) => void
}

function Answer({ question, model: now, answers, onAnswer }: AnswerProps) {
  const value = answers[question] ?? ''
  const options = optionsOf(question, now, answers)
  if (options === null)
    return (
      <input
        className="setting-input"
        value={value}
        spellCheck={false}
        onChange={({ target }) => onAnswer(target.value)}
      />
    )
  return (
    <select className="setting-input" value={value} onChange={({ target }) => onAnswer(target.value)}>
      <option value="">Choose</option>
      {options.map((one) => (
        <option key={one}>{one}</option>
      ))}
    </select>
  )
}

/** What can be chosen; `null` where anything can be written. */
function optionsOf(question: Question, { machines }: Model, { workflow }: Answers): string[] | null {
  if (question === 'method') return METHODS
  if (question === 'workflow') return machines.map(({ name }) => name)
  if (question === 'state') return machines.find(({ name }) => name === workflow)?.states.map(({ name }) => name) ?? []
  return null
}

function Buttons({ submit, disabled = false, onClose }: { submit: string; disabled?: boolean; onClose: () => void }) {
  return (
    <div className="editor-dialog-buttons">
      <button type="button" onClick={onClose}>
        Cancel
      </button>
      <button type="submit" disabled={disabled}>
        {submit}
      </button>
    </div>
  )
}
