import { expect, it } from 'vitest'
import { partsOf, verdictOf } from './changes'

const NOTHING = {
  valid: true,
  problems: [],
  digest: 'd',
  changes: [],
  takes: 'nothing',
  live: [],
  restart: [],
  stranded: [],
}

it('parts are told with what is different in them and how the process takes them', () => {
  const changes = [
    { part: 'module step-payment', pointer: '/config/timeout', from: '30s', to: '10s' },
    { part: 'module step-payment', pointer: '/config/retry~1all', from: null, to: { maxAttempts: 3 } },
    { part: 'route GET /api/things', pointer: '', from: null, to: { handler: 'things' } },
    { part: 'route GET /api/old', pointer: '', from: { handler: 'old' }, to: null },
  ]
  expect(partsOf({ changes, restart: ['module step-payment', 'module with-a-secret'] })).toEqual([
    {
      name: 'module step-payment',
      isLive: false,
      how: 'differs',
      values: [
        { name: 'config / timeout', from: '30s', to: '10s' },
        { name: 'config / retry/all', from: null, to: '{"maxAttempts":3}' },
      ],
    },
    { name: 'route GET /api/things', isLive: true, how: 'came', values: [] },
    { name: 'route GET /api/old', isLive: true, how: 'went', values: [] },
    { name: 'module with-a-secret', isLive: false, how: 'differs', values: [] },
  ])
})

it('what saving comes to is one sentence', () => {
  expect(verdictOf({ ...NOTHING, valid: false })).toContain('cannot run here')
  const stranded = [{ workflow: 'order', what: "component 'payment'", instances: 12 }]
  expect(verdictOf({ ...NOTHING, stranded })).toContain('12 unfinished instances would be stranded')
  expect(verdictOf({ ...NOTHING, takes: 'live', live: ['route GET /a'] })).toContain('at once')
  const restart = ['module a', 'module b', 'module c', 'module d']
  expect(verdictOf({ ...NOTHING, takes: 'restart', restart })).toContain('for module a, module b, module c and 1 more')
  expect(verdictOf(NOTHING)).toContain('Nothing')
})
