import { defineConfig } from '@playwright/test'

/** The browser is the system's: `apt-get install chromium`, or wherever CHROMIUM says. */
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

export default defineConfig({
  testDir: 'tests',
  // One store and one browser have the machine for themselves: what is watched here are orders of a few milliseconds.
  workers: 1,
  fullyParallel: true,
  timeout: 90_000,
  expect: { timeout: 20_000 },
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
