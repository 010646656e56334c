/** Entry of the admin. */
import '../shared/styles/font.css'
import '../shared/styles/base.css'
import '../shared/styles/button.css'
import '../shared/styles/nav.css'
import '../shared/desk/desk.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './App'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')

createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
