import { vi } from 'vitest'

/** An answer of the API. */
export function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  return new Response(JSON.stringify(body), { status, headers })
}

/** The next requests are answered with these, in their sequence; an error is a network that fails. */
export function onFetch(...answers: (Response | Error)[]) {
  const spy = vi.spyOn(globalThis, 'fetch')
  for (const each of answers) {
    if (each instanceof Error) spy.mockRejectedValueOnce(each)
    else spy.mockResolvedValueOnce(each)
  }
  return spy
}
