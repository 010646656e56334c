/** The editor of configs: a canvas, a form, a text and a tree, which are views of one text. It needs no login and no server. */
import './EditorPage.css'
import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react'
import { toast } from '../../shared/ui/toasts'
import { useOffered } from '../finder/offered.ts'
import type { Machine } from '../machines.ts'
import { useProcess } from '../operator/process'
import { loadFromServer } from './actions.ts'
import { Canvas } from './Canvas.tsx'
import { ConnectDialog, connectOrAsk, type Wanted } from './ConnectDialog.tsx'
import { useEditor, useModel, useShown } from './documents.ts'
import { keepDrafts } from './drafts.ts'
import { editorCommands } from './finding.ts'
import { Help } from './Help.tsx'
import { loadSchema } from './host.ts'
import { useKeys } from './keys.ts'
import { toReopen } from './left.ts'
import { type Asked, MachineDialog } from './machine/MachineDialogs.tsx'
import { MachineView, stateIn } from './machine/MachineView.tsx'
import { Outline } from './Outline.tsx'
import { Palette } from './Palette.tsx'
import { Problems, useNextProblem } from './Problems.tsx'
import { Properties } from './Properties.tsx'
import { useHostsWord } from './problems.ts'
import { Newer } from './save/Newer.tsx'
import { takeSchema } from './schema.ts'
import { Tabs } from './Tabs.tsx'
import { Toolbar } from './Toolbar.tsx'
import { Views } from './Views.tsx'
import { type Side, useView, view } from './view.ts'

const Components = lazy(() => import('./components/Components.tsx'))
const CreateDialog = lazy(() => import('./components/CreateDialog.tsx'))
const ProcessesView = lazy(() => import('./processes/ProcessesView.tsx'))
const Copilot = lazy(() => import('./copilot/Copilot.tsx'))
const TextPanel = lazy(() => import('./TextPanel.tsx'))
const SaveDialog = lazy(() => import('./save/SaveDialog.tsx'))

let begun = false

/** Once for a page, however often the editor is left and come back to. */
function begin(): void {
  if (begun) return
  begun = true
  void keepDrafts()
  void loadSchema().then(takeSchema)
}

interface Props {
  /** The workflow whose machine is drawn instead of the modules. */
  machine?: string | undefined
  /** Whoever comes wants a new component. */
  isCreating?: boolean
  /** The processes are drawn instead. */
  hasProcesses?: boolean
}

export default function EditorPage({ machine, isCreating = false, hasProcesses = false }: Props) {
  const { side, text, copilot, components, creating, problems, help, saving } = useView()
  const [asked, setAsked] = useState<Asked | null>(null)
  const [wanted, setWanted] = useState<Wanted | null>(null)
  const nextProblem = useNextProblem()
  useEffect(begin, [])
  useEffect(() => {
    document.title = 'Workflow editor · Millrace'
    // A question is over when its page is left.
    return () => view({ saving: false, creating: false, help: false })
  }, [])
  useEffect(() => {
    const left = isCreating ? 'creating' : toReopen()
    if (left) view({ [left]: true })
  }, [isCreating])
  useHostsWord()
  useRefusals()
  const drawn = useModel().machines.find(({ name }) => name === machine)
  useKeys({
    connect: () => (drawn ? setAsked(leavingSelection(drawn)) : setWanted(wantedFromSelection())),
    rename,
    nextProblem,
  })
  useOffered(() =>
    editorCommands({
      rename,
      nextProblem,
      connect: () => (drawn ? setAsked(leavingSelection(drawn)) : setWanted(wantedFromSelection())),
    }),
  )
  const connect = (from: string, to: string) => setWanted(connectOrAsk({ from, to }))
  return (
    <div className="editor">
      <h1 className="sr-only">Workflow editor</h1>
      <Toolbar />
      <div>
        <Tabs />
        <Newer />
      </div>
      <div
        className="editor-body"
        id="editor-body"
        role="tabpanel"
        aria-label="Config"
        data-text={text || copilot || components || undefined}
      >
        <aside className="editor-side" id="panel-side" tabIndex={-1} aria-label="Modules and outline">
          <Sides side={side} />
          {side === 'modules' ? (
            <Palette />
          ) : (
            <Outline onConnect={(from) => setWanted({ from, to: null })} onRename={rename} />
          )}
        </aside>
        <section className="editor-canvas" id="panel-canvas" tabIndex={-1} aria-label="Drawing">
          <Views machine={machine} hasProcesses={hasProcesses} />
          <div className="editor-drawing">
            <Banner />
            {drawingOf({ machine, hasProcesses, connect, onAsk: setAsked })}
            <OfferBar />
          </div>
        </section>
        {text && (
          <Beside label="Text" id="panel-text" waiting="The text is on its way…">
            <TextPanel />
          </Beside>
        )}
        {copilot && (
          <Beside label="Copilot" waiting="The copilot is on its way…">
            <Copilot />
          </Beside>
        )}
        {components && (
          <Beside label="Components of the config" waiting="The components are on their way…">
            <Components />
          </Beside>
        )}
        <aside className="editor-properties" aria-label="Properties of what is selected">
          <Properties />
        </aside>
        {problems && (
          <div className="editor-problems">
            <Problems />
          </div>
        )}
      </div>
      <Said />
      {wanted && <ConnectDialog key={`${wanted.from} ${wanted.to}`} wanted={wanted} onClose={() => setWanted(null)} />}
      {asked && drawn && <MachineDialog machine={drawn} asked={asked} onClose={() => setAsked(null)} />}
      {saving && (
        <Suspense fallback={null}>
          <SaveDialog />
        </Suspense>
      )}
      {creating && (
        <Suspense fallback={null}>
          <CreateDialog />
        </Suspense>
      )}
      {help && <Help onClose={() => view({ help: false })} />}
    </div>
  )
}

interface Drawn {
  machine: string | undefined
  hasProcesses: boolean
  connect: (from: string, to: string) => void
  onAsk: (asked: Asked) => void
}

function drawingOf({ machine, hasProcesses, connect, onAsk }: Drawn) {
  if (hasProcesses) {
    return (
      <Suspense fallback={<p className="editor-wait">The processes are on their way…</p>}>
        <ProcessesView />
      </Suspense>
    )
  }
  return machine === undefined ? <Canvas onConnect={connect} /> : <MachineView workflow={machine} onAsk={onAsk} />
}

function leavingSelection(machine: Machine): Asked {
  return { what: 'transition', from: stateIn(machine, useEditor.getState().selection.path), to: null }
}

function wantedFromSelection(): Wanted | null {
  const [from] = useEditor.getState().selection.modules
  return from ? { from, to: null } : null
}

/** The name is edited in the form. */
function rename(): void {
  // At once where the form is there: what is typed next belongs to the name.
  if (!focusName()) requestAnimationFrame(focusName)
}

function focusName(): boolean {
  const input = document.querySelector<HTMLInputElement>('#panel-properties .setting-input')
  input?.focus()
  input?.select()
  return input !== null && document.activeElement === input
}

const SIDES: readonly [Side, string][] = [
  ['modules', 'Modules'],
  ['outline', 'Outline'],
]

function Sides({ side }: { side: Side }) {
  return (
    <div className="editor-sides">
      <h2 className="sr-only">{side === 'modules' ? 'Modules' : 'Outline'}</h2>
      {SIDES.map(([own, label]) => (
        <button key={own} type="button" aria-pressed={own === side} onClick={() => view({ side: own })}>
          {label}
        </button>
      ))}
    </div>
  )
}

/** Why the drawing cannot be changed, or what there is to begin with. */
function Banner() {
  const { readOnly, modules } = useModel()
  const { text } = useShown()
  const { process } = useProcess()
  if (readOnly) {
    return (
      <p className="editor-banner" role="status">
        {readOnly}{' '}
        <button type="button" className="text-button" onClick={() => view({ text: true })}>
          Show the text
        </button>
      </p>
    )
  }
  if (modules.length > 0 || text.trim() !== '') return null
  return (
    <div className="editor-empty">
      <p>Drag a module here, or import a config.</p>
      {process && (
        <button type="button" className="button button-quiet" onClick={() => void loadFromServer()}>
          Load the config of {process.process}
        </button>
      )}
      <p>Nothing leaves this browser until you save. What you make is kept here as a draft.</p>
    </div>
  )
}

/** What was done, for those who cannot see it. */
function Said() {
  const said = useEditor((state) => state.said)
  return (
    <p className="sr-only" aria-live="polite">
      {said?.kind === 'done' ? said.message : ''}
    </p>
  )
}

/** Why something was not done is seen by everybody. */
function useRefusals(): void {
  const said = useEditor((state) => state.said)
  useEffect(() => {
    if (said?.kind === 'refused') toast('error', said.message)
  }, [said])
}

/** A way back, for a while. */
function OfferBar() {
  const said = useEditor((state) => state.said)
  const { text } = useShown()
  if (!said?.offer || said.text !== text) return null
  const { message, offer } = said
  return (
    <div className="editor-offer">
      <span>{message}</span>
      <button type="button" onClick={offer.run}>
        {offer.label}
      </button>
    </div>
  )
}

/** What stands beside the drawing; its code comes when it is asked for. */
function Beside({
  label,
  id,
  waiting,
  children,
}: {
  label: string
  id?: string
  waiting: string
  children: ReactNode
}) {
  return (
    <section className="editor-text" id={id} tabIndex={id === undefined ? undefined : -1} aria-label={label}>
      <Suspense fallback={<p className="editor-wait">{waiting}</p>}>{children}</Suspense>
    </section>
  )
}
