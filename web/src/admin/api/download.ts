import { refused } from '../../shared/api/errors'
import { send } from '../../shared/desk/api/call'

/** A file of the API, as a download: a link could not carry the token. */
export async function download(path: string, query: Readonly<Record<string, string>>, name: string) {
  const response = await send(path, { query, headers: { Accept: 'text/csv' }, isUnhurried: true })
  if (!response.ok) throw refused(response, await response.json().catch(() => undefined))
  const url = URL.createObjectURL(await response.blob())
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  URL.revokeObjectURL(url)
}
