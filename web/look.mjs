import { chromium } from '@playwright/test'
const [,, url, out, width='1280', height='900', scheme='light', token, css] = process.argv
const b = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
const c = await b.newContext({ viewport: { width: +width, height: +height }, colorScheme: scheme, reducedMotion: 'reduce' })
const p = await c.newPage()
if (token) await p.addInitScript(t => { localStorage.setItem('token', t) }, token)
p.on('console', m => console.log(m.type(), m.text()))
await p.goto(url); await p.waitForTimeout(1500)
if (css) await p.evaluate((css) => { const s = new CSSStyleSheet(); s.replaceSync(css); document.adoptedStyleSheets=[s] }, css)
console.log(await p.evaluate(() => ({ sw: document.documentElement.scrollWidth, cw: document.documentElement.clientWidth, out: [...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth+1).map(e => e.tagName+'.'+e.className+' '+Math.round(e.getBoundingClientRect().right)).slice(0,20) })))
await p.screenshot({ path: out, fullPage: true })
await b.close()
