/** What a key of a config is called in a form: `readTimeout` is Read Timeout. */

const WORDS: Record<string, string> = {
  api: 'API',
  conns: 'Connections',
  cpu: 'CPU',
  dsn: 'DSN',
  http: 'HTTP',
  id: 'ID',
  ids: 'IDs',
  jwt: 'JWT',
  kb: '(KiB)',
  mb: '(MiB)',
  ms: '(ms)',
  on: 'on',
  otp: 'OTP',
  sku: 'SKU',
  spa: 'SPA',
  totp: 'TOTP',
  ttl: 'TTL',
  url: 'URL',
}

export function labelOf(key: string): string {
  const words = key
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .split(/[\s_-]+/)
  return words.map((word) => WORDS[word.toLowerCase()] ?? word.charAt(0).toUpperCase() + word.slice(1)).join(' ')
}
