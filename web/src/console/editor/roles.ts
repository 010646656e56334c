/** What modules are for, as it is shown. */
import { MODULE_TYPES, type ModuleType, type Role } from '../moduleTypes.ts'

/** In the sequence in which a request meets them. */
export const ROLES: readonly [Role, string][] = [
  ['edge', 'Edge'],
  ['accounts', 'Accounts'],
  ['resources', 'Resources'],
  ['process', 'Process'],
  ['events', 'Events'],
  ['operation', 'Operation'],
  ['other', 'Other'],
]

export const ROLE_DRAWINGS: Record<Role, string> = {
  edge: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c3 2.600 3.500 6 3.500 9s-.5 6.400-3.500 9c-3-2.600-3.500-6-3.500-9s.5-6.400 3.500-9z',
  accounts: 'M8 11V8a4 4 0 0 1 8 0v3M5.5 11h13v9.500h-13zM12 15v2',
  resources:
    'M4.500 6c0-1.700 3.400-3 7.500-3s7.500 1.300 7.500 3-3.400 3-7.500 3-7.500-1.300-7.500-3zM4.500 6v12c0 1.700 3.400 3 7.500 3s7.500-1.300 7.500-3V6M4.500 12c0 1.700 3.400 3 7.500 3s7.500-1.300 7.500-3',
  process: 'M5 5.500h5v5H5zM14 13.500h5v5h-5zM10 8h4.500a2 2 0 0 1 2 2v3.500',
  events:
    'M5 12a7 7 0 0 1 7-7M8.500 12A3.500 3.500 0 0 1 12 8.500M12 11.500v.5M19 12a7 7 0 0 1-7 7M15.500 12a3.500 3.500 0 0 1-3.500 3.500',
  operation: 'M3.500 12h4l2.500-6.500 4 13 2.500-6.500h4',
  other: 'M12 3.500 20 8v8l-8 4.500L4 16V8z',
}

/** The types of modules by what they are for. */
export const PALETTE: readonly { role: Role; label: string; types: readonly ModuleType[] }[] = ROLES.map(
  ([role, label]) => ({
    role,
    label,
    types: MODULE_TYPES.filter((one) => one.role === role),
  }),
).filter(({ types }) => types.length > 0)
