import { useState } from 'react'
import * as api from '../../shared/api/account'
import { ApiError } from '../../shared/api/errors'
import { Link } from '../../shared/router'
import { EmailField } from '../../shared/ui/EmailField'
import { GateForm } from '../../shared/ui/Gate'
import { Heading } from '../../shared/ui/Page'
import { Picture } from '../ui/Picture'

export default function ForgottenPage() {
  const [email, setEmail] = useState<string>()
  const picture = <Picture image="/img/electronics.svg" productId="" category="electronics" eager />
  if (email !== undefined) {
    return (
      <div className="page gate-page">
        {picture}
        <section className="gate" aria-live="polite">
          <Heading>Look into your mail</Heading>
          <p>
            If {email} has an account here, a message is on its way. Its link is good for half an hour, and once.
            Nothing came? Look among the unwanted mail, or <Link to="/register">create an account</Link>.
          </p>
          <p className="gate-other">
            <Link to="/login">Back to the login</Link>
          </p>
        </section>
      </div>
    )
  }
  return (
    <GateForm
      picture={picture}
      title="Forgotten your password?"
      lead="Tell us your e-mail, and we send you a link to set another one."
      action="Send the Link"
      send={async (data) => {
        const typed = String(data.get('email')).trim()
        await api.sendReset({ email: typed })
        return typed
      }}
      onSuccess={setEmail}
      complaints={(error) => (error instanceof ApiError ? error.fields : {})}
      other={<Link to="/login">Back to the login</Link>}
    >
      {({ email: wrong }) => <EmailField error={wrong} />}
    </GateForm>
  )
}
