/** Entry of the store. */
import '../shared/styles/font.css'
import '../shared/styles/base.css'
import '../shared/styles/button.css'
import '../shared/styles/nav.css'
import { StrictMode, startTransition } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './App'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')

// A transition is drawn in slices of some milliseconds: a slow phone answers a touch between two of them.
startTransition(() =>
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  ),
)
