import { Heading } from '../../../shared/ui/Page'

export default function InstancePage({ kind, id }: { kind: string; id: string }) {
  return (
    <div className="page">
      <Heading>
        {kind} {id}
      </Heading>
    </div>
  )
}
