/** Says that the process has another config by now, and what can be done about it. */
import './Newer.css'
import { useShown } from '../documents.ts'
import { view } from '../view.ts'
import { takeNewer, useLooking, useNewer } from './newer.ts'

export function Newer() {
  useLooking()
  const { dirty } = useShown()
  const newer = useNewer()
  if (!newer) return null
  return (
    <p className="newer" role="status">
      The process has another config by now: it was saved after this one was read.{' '}
      {dirty ? (
        <button type="button" className="text-button" onClick={() => view({ saving: true })}>
          See both
        </button>
      ) : (
        <button type="button" className="text-button" onClick={() => takeNewer(newer)}>
          Take it
        </button>
      )}
    </p>
  )
}
