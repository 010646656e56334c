/** Where the machine of a workflow is shown. */
export function machinePath(workflow: string): string {
  return `/machine/${encodeURIComponent(workflow)}`
}
