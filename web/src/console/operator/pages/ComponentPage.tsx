import { Heading } from '../../../shared/ui/Page'

export default function ComponentPage({ name }: { name: string }) {
  return (
    <div className="page">
      <Heading>{name}</Heading>
    </div>
  )
}
