/** Entry of the console. */
import '../shared/styles/font.css'
import '../shared/styles/base.css'
import '../shared/styles/button.css'
import '../shared/styles/nav.css'
import '../shared/desk/desk.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { speakOf } from '../shared/api/errors'
import { App } from './App'

speakOf('process')

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')

createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
