import { Heading } from '../../../shared/ui/Page'

export default function ComponentsPage() {
  return (
    <div className="page">
      <Heading>Components</Heading>
    </div>
  )
}
