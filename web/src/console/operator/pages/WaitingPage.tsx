import { Heading } from '../../../shared/ui/Page'

export default function WaitingPage() {
  return (
    <div className="page">
      <Heading>Waiting</Heading>
    </div>
  )
}
