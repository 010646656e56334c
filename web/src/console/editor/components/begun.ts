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
}

const NOTHING: Begun = {
  name: '',
  language: 'rust',
  chosen: { kind: 'step', way: undefined, otherwise: '', topic: '' },
}

export const useBegun = create<Begun>(() => NOTHING)

export function say(change: Partial<Begun>): void {
  useBegun.setState(change)
}

export function forget(): void {
  useBegun.setState(NOTHING)
}
