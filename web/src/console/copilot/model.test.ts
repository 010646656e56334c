/** What a model proposes: the values that it names, and nothing else of the text. */
import { describe, expect, it } from 'vitest'
import { applied } from '../edits.ts'
import { lens } from '../lens.ts'
import { type ModelEdit, pathOf, proposed } from './model.ts'

const CONFIG = `# The shop.
modules:
  - name: web # customers come here
    type: http.server
    config: {address: ":8080", readTimeout: 15s}
  - name: cors
    type: http.middleware.cors
    config:
      # Whom we know.
      allowedOrigins: [https://a.example, https://b.example]
      allowCredentials: true # for the cookies

workflows:
  http:
    router: router # the only one
    routes:
      - {method: GET, path: /a~b, handler: one}
`

function edited(...edits: ModelEdit[]): string {
  return applied(CONFIG, proposed(lens(CONFIG), 'Edit', edits).edits)
}

describe('edits of a model', () => {
  it('set one value and leave the rest of the file as it is', () => {
    expect(edited({ op: 'set', pointer: '/modules/0/config/readTimeout', value: '20s' })).toBe(
      CONFIG.replace('15s', '20s'),
    )
    expect(edited({ op: 'set', pointer: '/modules/0/config/readTimeout', value: '15s' })).toBe(CONFIG)
  })

  it('make what is missing on the way, and take away', () => {
    const made = edited({ op: 'set', pointer: '/workflows/messaging/subscriptions', value: [{ topic: 'a' }] })
    expect(lens(made).source.value).toMatchObject({ workflows: { messaging: { subscriptions: [{ topic: 'a' }] } } })
    expect(edited({ op: 'remove', pointer: '/modules/1/config/allowCredentials' })).toBe(
      CONFIG.replace('      allowCredentials: true # for the cookies\n', ''),
    )
  })

  it('change only what differs where a map or a list is given as a whole', () => {
    const config = { allowedOrigins: ['https://a.example', 'https://c.example', 'https://d.example'], maxAge: 60 }
    const changed = edited({ op: 'set', pointer: '/modules/1/config', value: config })
    expect((lens(changed).source.value as { modules: { config: object }[] }).modules[1]?.config).toEqual(config)
    expect(changed).toContain(
      '# Whom we know.\n      allowedOrigins: [https://a.example, https://c.example, https://d.example]',
    )
    const fewer = edited({ op: 'set', pointer: '/modules/1/config/allowedOrigins', value: ['https://b.example'] })
    expect(fewer).toBe(CONFIG.replace('[https://a.example, https://b.example]', '[https://b.example]'))
  })

  it('put a value of another kind where the old one was', () => {
    const changed = edited({ op: 'set', pointer: '/modules/1/type', value: { name: 'x' } })
    expect(lens(changed).source.value).toMatchObject({ modules: [{}, { type: { name: 'x' } }] })
    expect(changed.indexOf('name: x')).toBeLessThan(changed.indexOf('# Whom we know.'))
    const item = edited({ op: 'set', pointer: '/workflows/http/routes/0', value: 'nothing' })
    expect(lens(item).source.value).toMatchObject({ workflows: { http: { routes: ['nothing'] } } })
  })

  it('are made one after the other, each on what the one before leaves', () => {
    const changed = edited(
      { op: 'append', pointer: '/modules', value: { name: 'health', type: 'health.checker' } },
      { op: 'set', pointer: '/modules/2/config/path', value: '/ready' },
      { op: 'remove', pointer: '/modules/0' },
    )
    const names = lens(changed).modules.map(({ name }) => name)
    expect(names).toEqual(['cors', 'health'])
    expect(changed).toContain('path: /ready')
  })

  it('are refused where there is nothing, and as a whole', () => {
    for (const [edit, message] of [
      [{ op: 'remove', pointer: '/modules/7' }, 'There is nothing at modules.7.'],
      [{ op: 'set', pointer: '/modules/web/name', value: 'x' }, 'names an item of a list by `web`'],
      [{ op: 'set', pointer: '', value: {} }, 'is the whole config'],
    ] as const) {
      expect(() => edited(edit)).toThrow(message)
    }
    const good = { op: 'set', pointer: '/modules/0/name', value: 'front' } as const
    expect(() => edited(good, { op: 'remove', pointer: '/nothing' })).toThrow('There is nothing at nothing.')
  })

  it('name places as JSON pointers do', () => {
    expect(pathOf(lens(CONFIG), '/workflows/http/routes/0/path')).toEqual(['workflows', 'http', 'routes', 0, 'path'])
    expect(pathOf(lens(CONFIG), '/x~1y~0z/0')).toEqual(['x/y~z', '0'])
  })
})
