import { act, render, renderHook, screen, waitFor } from '@testing-library/react'
import { expect, it, vi } from 'vitest'
import { forget, outdate, put, useAction, useAnswer } from './answers'
import { ApiError } from './api/errors'

function Shows({ name, ask }: { name: string; ask: () => Promise<string> }) {
  const { data, error } = useAnswer(name, ask)
  return <output>{data ?? (error ? 'error' : 'nothing')}</output>
}

const shown = () => screen.getAllByRole('status').map((each) => each.textContent)

it('two that show the same ask once', async () => {
  const ask = vi.fn(async () => 'one')
  render([<Shows key="a" name="same" ask={ask} />, <Shows key="b" name="same" ask={ask} />])
  await waitFor(() => expect(shown()).toEqual(['one', 'one']))
  expect(ask).toHaveBeenCalledTimes(1)
})

it('what is put is shown, and what is outdated is asked for again', async () => {
  const ask = vi.fn(async () => 'asked')
  render(<Shows name="put" ask={ask} />)
  await waitFor(() => expect(shown()).toEqual(['asked']))
  act(() => put('put', 'known'))
  expect(shown()).toEqual(['known'])
  act(() => outdate((key) => key === 'put'))
  await waitFor(() => expect(shown()).toEqual(['asked']))
  expect(ask).toHaveBeenCalledTimes(2)
})

it('what is forgotten is gone at once and asked for anew', async () => {
  let count = 0
  const ask = vi.fn(async () => `answer ${++count}`)
  render(<Shows name="forgotten" ask={ask} />)
  await waitFor(() => expect(shown()).toEqual(['answer 1']))
  act(() => forget((key) => key === 'forgotten'))
  expect(shown()).toEqual(['nothing'])
  await waitFor(() => expect(shown()).toEqual(['answer 2']))
})

it('a passing failure is tried again, another is not', async () => {
  const busy = vi.fn(async () => 'in the end')
  busy.mockRejectedValueOnce(new ApiError('busy', ''))
  const missing = vi.fn(async (): Promise<string> => {
    throw new ApiError('missing', '')
  })
  render([<Shows key="a" name="busy" ask={busy} />, <Shows key="b" name="missing" ask={missing} />])
  await waitFor(() => expect(shown()).toEqual(['in the end', 'error']), { timeout: 3000 })
  expect(missing).toHaveBeenCalledTimes(1)
})

it('an action that is begun twice in one moment is performed once', async () => {
  const perform = vi.fn(async (what: string) => what)
  const done = vi.fn()
  const { result } = renderHook(() => useAction(perform, { onSuccess: done, onError: vi.fn() }))
  const { run } = result.current
  await act(async () => void (await Promise.all([run('a'), run('b')])))
  expect(perform.mock.calls).toEqual([['a']])
  await act(() => result.current.run('c'))
  expect(done.mock.calls).toEqual([['a'], ['c']])
})

it.each(['answer', 'refusal'] as const)(
  'the %s to an action that comes after everything was forgotten is shown to nobody',
  async (kind) => {
    let [resolve, reject] = [(_: string) => {}, (_: unknown) => {}]
    const [done, failed] = [vi.fn(), vi.fn()]
    const perform = () =>
      new Promise<string>((...ends) => {
        ;[resolve, reject] = ends
      })
    const { result } = renderHook(() => useAction(perform, { onSuccess: done, onError: failed }))
    let running: Promise<void> | undefined
    act(() => {
      running = result.current.run()
    })
    act(() => forget(() => false))
    await act(async () => {
      if (kind === 'answer') resolve('of somebody else')
      else reject(new ApiError('conflict', 'of somebody else'))
      await running
    })
    expect(done).not.toHaveBeenCalled()
    expect(failed).not.toHaveBeenCalled()
    expect(result.current).toMatchObject({ isPending: false, error: undefined })
  },
)
