import { Heading } from '../../../shared/ui/Page'

export default function AuditPage() {
  return (
    <div className="page">
      <Heading>Audit</Heading>
    </div>
  )
}
