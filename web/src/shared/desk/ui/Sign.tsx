/** Pictograms of the admin; the store's first page does not bring them. */
import { Drawing } from '../../ui/Icon'

const PATHS = {
  grid: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  bag: 'M5 8h14l1 13H4zM8.5 8V7a3.5 3.5 0 0 1 7 0v1',
  box: 'M3.5 7.5 12 3l8.5 4.5v9L12 21l-8.5-4.5zM3.5 7.5 12 12l8.5-4.5M12 12v9',
  user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5',
  list: 'M4 6.500h16M4 12h16M4 17.500h16',
  tag: 'M4 4h8l8.500 8.500-8 8L4 12zM8.200 8.200v.1',
  search: 'M11 4.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM16 16l4 4',
  download: 'M12 4v11.500M7.500 11l4.500 4.500L16.500 11M4.500 15.500v4h15v-4',
  flow: 'M4 4h6v5H4zM14 15h6v5h-6zM7 9v8.500h7M10 6.500h7V15',
  clock: 'M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM12 7.500V12l3 2.500',
  scroll: 'M6 4h12v16H6zM9 8.500h6M9 12h6M9 15.500h3.500',
  history: 'M4.500 12a7.500 7.500 0 1 0 2.300-5.400L4.500 9M4.500 4.500V9H9M12 8v4.500l3 1.800',
  upload: 'M12 15.500V4M7.500 8.500 12 4l4.500 4.500M4.500 15.500v4h15v-4',
} as const

export type SignName = keyof typeof PATHS

export function Sign({ name }: { name: SignName }) {
  return <Drawing path={PATHS[name]} />
}
