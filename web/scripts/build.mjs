// Builds each application by itself: together they would share files, and the store's first page would bring what is only the admin's.
import { resolve } from 'node:path'
import { build } from 'vite'

const root = resolve(import.meta.dirname, '..')

/** The page of each application. */
const PAGES = ['index.html', 'admin/index.html', 'console/index.html']

for (const [index, page] of PAGES.entries()) {
  const isFirst = index === 0
  await build({
    root,
    build: {
      emptyOutDir: isFirst,
      copyPublicDir: isFirst,
      rolldownOptions: { input: resolve(root, page) },
    },
  })
}
