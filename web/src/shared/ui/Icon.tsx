/** The store's pictograms, drawn with the colour of the text around them. Decoration: what they mean is always said in words too. */
import './Icon.css'

const PATHS = {
  grid: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  box: 'M3.5 7.5 12 3l8.5 4.5v9L12 21l-8.5-4.5zM3.5 7.5 12 12l8.5-4.5M12 12v9',
  bag: 'M5 8h14l1 13H4zM8.5 8V7a3.5 3.5 0 0 1 7 0v1',
  user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4',
  moon: 'M20 14.500A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.500z',
  auto: 'M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18',
  check: 'm5 12.5 4.5 4.500L19 7.5',
  close: 'M6.5 6.500l11 11M17.5 6.500l-11 11',
  alert: 'M12 4 2.8 20h18.400zM12 10v4.500M12 17v.3',
  info: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5.500M12 7.500v.3',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  back: 'M19 12H5.500M11 6l-6 6 6 6',
  forward: 'M5 12h13.500M13 6l6 6-6 6',
  trash: 'M4.5 7h15M9.5 7V4.500h5V7M6.5 7l1 13.500h9l1-13.5',
  retry: 'M19.5 12a7.5 7.5 0 1 1-2.2-5.300L19.5 9M19.5 4v5h-5',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { name: IconName }) {
  return <Drawing path={PATHS[name]} />
}

/** For pictograms that are one application's own. */
export function Drawing({ path }: { path: string }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={path} />
    </svg>
  )
}
