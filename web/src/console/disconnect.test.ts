import { describe, expect, it } from 'vitest'
import { connect } from './connect.ts'
import { disconnect } from './disconnect.ts'
import { applied } from './edits.ts'
import { lens } from './lens.ts'

const text = `modules:
  - name: server
    type: http.server
    config: {address: ":8080"}
  - name: router
    type: http.router
    dependsOn: [server]   # first
  - name: things
    type: api.handler
    config: {resourceName: things}
    dependsOn: [server, router]
workflows:
  http:
    router: router
    server: server
    routes:
      - {method: GET, path: /things, handler: things}
      - {method: POST, path: /things, handler: things}
`

const edgeOf = (kind: string, from: string, to: string) => {
  const edge = lens(text).edges.find((one) => one.kind === kind && one.from === from && one.to === to)
  if (!edge) throw new Error(`no ${kind} from ${from} to ${to}`)
  return edge
}
const without = (kind: string, from: string, to: string) => {
  const made = disconnect(lens(text), edgeOf(kind, from, to))
  return applied(text, made.edits)
}

describe('taking a line away', () => {
  it('takes one name out of a list, and nothing else', () => {
    expect(without('dependency', 'server', 'things')).toBe(text.replace('[server, router]', '[router]'))
  })
  it('takes the list with its last name', () => {
    expect(without('dependency', 'server', 'router')).not.toContain('# first')
    expect(lens(without('dependency', 'server', 'router')).modules[1]?.dependsOn).toEqual([])
  })
  it('takes all routes that the line stands for', () => {
    expect(lens(without('route', 'router', 'things')).routes).toEqual([])
  })
  it('is what connecting does, taken back', () => {
    const [made] = connect(lens(without('dependency', 'server', 'things')), 'server', 'things')
    expect(made?.label).toBe('things depends on server')
  })
})
