/** What was said of a component that is being made. It outlives the dialog where somebody leaves it to sign in, and ends with it otherwise. */
import { create } from 'zustand'
import type { Purpose, Way } from './newComponent.ts'

export interface Chosen {
  kind: Purpose['kind']
  way: Way | undefined
  otherwise: string
  topic: string
}

interface Begun {
  name: string
  language: string
  chosen: Chosen
  /** Its dialog was left to sign in, and opens again with the editor. */
  isLeft: boolean
}

const NOTHING: Begun = {
  name: '',
  language: 'rust',
  chosen: { kind: 'step', way: undefined, otherwise: '', topic: '' },
  isLeft: false,
}

export const useBegun = create<Begun>(() => NOTHING)

export function say(change: Partial<Omit<Begun, 'isLeft'>>): void {
  useBegun.setState(change)
}

export function forget(): void {
  useBegun.setState(NOTHING)
}

export function leave(): void {
  useBegun.setState({ isLeft: true })
}
