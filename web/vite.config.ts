import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import subsetFont from 'subset-font'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** Where `npm run dev` finds the API. */
const host = process.env.MILLRACE_URL ?? 'http://127.0.0.1:8080'

/** And that of the console. */
const operator = process.env.MILLRACE_OPERATOR_URL ?? 'http://127.0.0.1:9080'

/** What headings are written with; anything else is drawn by the system's font. */
const CHARACTERS = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 &'().,-#!?/+:%$·’–…é`

/** Cuts fonts down to those characters: most of their bytes serve other languages. */
const smallFonts: Plugin = {
  name: 'small-fonts',
  async generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type !== 'asset' || !file.fileName.endsWith('.woff2')) continue
      file.source = await subsetFont(Buffer.from(file.source), CHARACTERS, {
        targetFormat: 'woff2',
        noLayoutClosure: true,
      })
    }
  },
}

/** The pages for those who work here are one page, `desk.html`; each says in a line its name and its entry. */
const deskPages: Plugin = {
  name: 'desk-pages',
  transformIndexHtml: {
    order: 'pre',
    handler(html) {
      const [, name, entry] = html.match(/^<!-- desk\.html: (.+), (\S+) -->\s*$/) ?? []
      if (!name || !entry) return html
      const page = readFileSync(resolve(import.meta.dirname, 'desk.html'), 'utf8')
      return page.replaceAll('%NAME%', name).replaceAll('%ENTRY%', entry)
    },
  },
}

/** Styles after the shell of the page: a browser shows what stands before a stylesheet while that is on its way. */
const stylesAfterShell: Plugin = {
  name: 'styles-after-shell',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler(html) {
      const links = html.match(/<link rel="stylesheet"[^>]*>/g) ?? []
      return links.reduce((rest, link) => rest.replace(link, ''), html).replace('</body>', `${links.join('')}</body>`)
    },
  },
}

/** Comments and indentation are for those who read the sources. */
const shortHtml: Plugin = {
  name: 'short-html',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler: (html) => html.replace(/<!--.*?-->/gs, '').replace(/\n\s+/g, '\n'),
  },
}

/** What the entry waits for comes with it, though the entry is not evaluated together with it: a phone may answer a touch between the two. */
const entryWithRenderer: Plugin = {
  name: 'entry-with-renderer',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler(_, { chunk, bundle }) {
      const renderer = chunk?.dynamicImports.find((file) => {
        const found = bundle?.[file]
        return found?.type === 'chunk' && found.moduleIds.some((id) => /react-dom.client/.test(id))
      })
      return renderer && [{ tag: 'link', attrs: { rel: 'modulepreload', crossorigin: true, href: `/${renderer}` } }]
    },
  },
}

/** Below this there is nothing to win. */
const WORTH_COMPRESSING = 250

/** Leaves `<file>.br` and `<file>.gz` beside each file that gains from it, compressed as well as can be: the host sends them as they are. */
const compressed: Plugin = {
  name: 'compressed',
  apply: 'build',
  closeBundle() {
    const dist = resolve(import.meta.dirname, 'dist')
    for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(js|css|html|svg|json|txt|webmanifest)$/.test(name) || existsSync(join(dist, `${name}.br`))) continue
      const text = readFileSync(join(dist, name))
      if (text.length <= WORTH_COMPRESSING) continue
      writeFileSync(join(dist, `${name}.br`), brotliCompressSync(text))
      writeFileSync(join(dist, `${name}.gz`), gzipSync(text, { level: 9 }))
    }
  },
}

export default defineConfig({
  plugins: [react(), deskPages, smallFonts, stylesAfterShell, entryWithRenderer, shortHtml, compressed],
  resolve: {
    // The router brings one for versions of React that have none.
    alias: { 'use-sync-external-store/shim/index.js': resolve(import.meta.dirname, 'src/shared/externalStore.ts') },
  },
  build: {
    target: 'es2023',
    // The page's policy allows fonts and scripts from files only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': host, '/operator': operator } },
  test: {
    include: ['src/**/*.test.{ts,tsx}'],
    environment: 'jsdom',
    restoreMocks: true,
    globals: false,
    setupFiles: ['src/shared/testing/setup.ts'],
  },
})
