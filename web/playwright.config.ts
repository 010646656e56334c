import { existsSync } from 'node:fs'
import { defineConfig } from '@playwright/test'
import type { Shape } from './tests/running/store'

/**
 * The browser is the system's: `apt-get install chromium-headless-shell`, or `chromium`, or wherever CHROMIUM says.
 * The first has no windows, only pages, and takes half of the processors' time for them.
 */
const SHELL = '/usr/bin/chromium-headless-shell'
const executablePath = process.env.CHROMIUM ?? (existsSync(SHELL) ? SHELL : '/usr/bin/chromium')

/** The admin, in both shapes. */
const ADMIN = ['admin', 'admin-accounts', 'admin-catalogue', 'admin-orders', 'admin-walk']

/** The console, before a process that is all of the store. */
const CONSOLE = [
  'console',
  'console-keys',
  'console-instances',
  'console-waiting',
  'console-components',
  'workflow-editor',
  'saving',
  'finder',
  'live-drawing',
  'machine-editor',
  'copilot-panel',
  'copilot-model',
  'machine-keys',
  'create-component',
  'container-view',
  'editor-access',
  'console-access',
]

export default defineConfig<object, { shape: Shape }>({
  testDir: 'tests',
  // Each has a store and a browser of its own. They wait more than they compute.
  workers: 2,
  fullyParallel: true,
  // A machine that stands still for a second is not a fault of the pages. Whoever needed a second attempt is listed as flaky at the end.
  retries: 1,
  // Nothing is said by how long a test takes: a dozen tabs on a slow machine take a minute.
  timeout: 180_000,
  expect: { timeout: 20_000 },
  reporter: [['list']],
  outputDir: 'test-results',
  use: {
    launchOptions: { executablePath, args: ['--no-sandbox'] },
    viewport: { width: 1280, height: 900 },
    // Recording doubles the time; `--trace=on` does it when there is something to find out.
    trace: 'off',
  },
  projects: [
    {
      name: 'monolith',
      testMatch: ['access', ...ADMIN, ...CONSOLE, 'failures', 'hostile', 'journey', 'once', 'orders', 'views'].map(
        spec,
      ),
    },
    // Gateway, users-products and orders with a Kafka: whatever is not the same in both shapes for certain.
    {
      name: 'stack',
      testMatch: [...ADMIN, 'container-stack', 'failures', 'journey', 'orders', 'stack'].map(spec),
      grepInvert: /@alike/,
      use: { shape: 'stack' },
    },
    // The editor's gestures before the host's judgement; no page is opened.
    { name: 'editor', testMatch: ['editor', 'fixes', 'copilot'].map(spec) },
    // Figures are taken when nothing else runs.
    {
      name: 'weight',
      testMatch: ['weight', 'smooth', 'large', 'lighthouse'].map(spec),
      dependencies: ['monolith', 'stack', 'editor'],
      fullyParallel: false,
      workers: 1,
    },
    { name: 'screenshots', testMatch: spec('screenshots') },
  ],
})

function spec(name: string): string {
  return `${name}.spec.ts`
}
