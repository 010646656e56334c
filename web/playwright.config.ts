import { defineConfig } from '@playwright/test'

/** The browser is the system's: `apt-get install chromium`, or wherever CHROMIUM says. */
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

export default defineConfig({
  testDir: 'tests',
  // Each worker starts a store of its own.
  workers: 2,
  fullyParallel: true,
  timeout: 30_000,
  expect: { timeout: 10_000 },
  reporter: [['list']],
  outputDir: 'test-results',
  use: {
    launchOptions: { executablePath, args: ['--no-sandbox'] },
    viewport: { width: 1280, height: 900 },
    trace: 'retain-on-failure',
  },
  projects: [
    { name: 'store', testMatch: '*.spec.ts', testIgnore: ['screenshots.spec.ts', 'weight.spec.ts'] },
    // Figures are taken when nothing else runs.
    { name: 'weight', testMatch: 'weight.spec.ts', dependencies: ['store'], fullyParallel: false },
    { name: 'screenshots', testMatch: 'screenshots.spec.ts' },
  ],
})
