/** Items of a list with keys that tell equal ones apart. */
export function keyed(items: readonly string[]): { key: string; item: string }[] {
  const seen = new Map<string, number>()
  return items.map((item) => {
    const before = seen.get(item) ?? 0
    seen.set(item, before + 1)
    return { key: `${item} ${before}`, item }
  })
}
