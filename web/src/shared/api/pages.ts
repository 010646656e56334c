/** Lists that come page by page. */

/** The cursor in an RFC 8288 `Link` header whose relation is `next`. */
export function nextCursor(headers: Headers): string | undefined {
  const next = headers
    .get('link')
    ?.split(',')
    .find((part) => part.includes('rel="next"'))
  const target = next?.match(/<([^>]*)>/)?.[1]
  return target ? (new URL(target, location.origin).searchParams.get('cursor') ?? undefined) : undefined
}
