/** Entry of the store. */
import '../shared/styles/font.css'
import '../shared/styles/base.css'
import '../shared/styles/button.css'
import '../shared/styles/nav.css'
import { StrictMode, startTransition } from 'react'
import { App } from './App'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')

// The half of all code that is not the store's own comes together with it (see vite.config.ts), and is evaluated in a task of its own.
void import('react-dom/client').then(({ createRoot }) => {
  // A transition is drawn in slices of some milliseconds: a slow phone answers a touch between two of them.
  startTransition(() =>
    createRoot(root).render(
      <StrictMode>
        <App />
      </StrictMode>,
    ),
  )
})
