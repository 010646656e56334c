/** How single values are written: in the quotes that were there, where the value allows them. */
import { parseDocument, Scalar } from 'yaml'

/** A value that stands on its own. */
export type ScalarValue = string | number | boolean | null
/** How text is quoted, or that it is a block of lines. */
export type Quoting = 'plain' | 'single' | 'double' | 'literal' | 'folded'

/** Where a value is written. */
export interface Setting {
  /** Whether brackets or braces are around it. */
  flow: boolean
  /** Whether a block of lines can stand there: nothing else may follow in its first line. */
  block: boolean
  /** Column of the lines of a text block. */
  column: number
  newline: string
}

/** How a node of a file is quoted. */
export function quoting(node: Scalar): Quoting {
  switch (node.type) {
    case Scalar.QUOTE_DOUBLE:
      return 'double'
    case Scalar.QUOTE_SINGLE:
      return 'single'
    case Scalar.BLOCK_LITERAL:
      return 'literal'
    case Scalar.BLOCK_FOLDED:
      return 'folded'
    default:
      return 'plain'
  }
}

/** What the value looks like in a file. A text block begins with its header and ends with the line break of its last line. */
export function written(value: ScalarValue, wanted: Quoting, setting: Setting): string {
  if (value === null) return 'null'
  if (typeof value !== 'string') return plainNumber(value)
  for (const style of candidates(value, wanted, setting)) {
    const text = style(value, setting)
    if (text !== null && readBack(text, setting) === value) return text
  }
  return double(value)
}

type Writer = (value: string, setting: Setting) => string | null

function candidates(value: string, wanted: Quoting, { flow, block: possible }: Setting): Writer[] {
  const block = possible && !flow && value.includes('\n')
  if (wanted === 'single') return [single, double]
  if (wanted === 'double') return [double]
  return block ? [literal, double] : [plain, double]
}

function plainNumber(value: number | boolean): string {
  if (typeof value === 'boolean' || Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? '.nan' : value > 0 ? '.inf' : '-.inf'
}

/** What older readers of YAML take for something other than text. */
const NOT_TEXT = /^(y|n|yes|no|on|off|=|<<)$/i
/** Begins with what means something at the beginning of a value. */
const INDICATOR = /^[-?:,[\]{}#&*!|>'"%@`]/

/** Numbers, and the other words that stand for something other than text. */
const OTHER_VALUE =
  /^(~|null|true|false|[-+]?(\d[\d_]*(\.\d*)?|\.\d+)(e[-+]?\d+)?|0x[\da-f]+|0o[0-7]+|[-+]?\.inf|\.nan)$/i

/** Whether text can be written without quotes. */
export function isPlain(value: string, flow: boolean): boolean {
  const unsafe =
    value === '' ||
    value !== value.trim() ||
    INDICATOR.test(value) ||
    NOT_TEXT.test(value) ||
    /:\s|:$|\s#|[\n\r]|^\.\.\./.test(value) ||
    UNPRINTABLE.test(value) ||
    OTHER_VALUE.test(value) ||
    (flow && /[,[\]{}]/.test(value))
  return !unsafe
}

function plain(value: string, { flow }: Setting): string | null {
  return isPlain(value, flow) ? value : null
}

function single(value: string): string | null {
  return /[\n\r]/.test(value) || UNPRINTABLE.test(value) ? null : `'${value.replaceAll("'", "''")}'`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to be escaped
const UNPRINTABLE = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u2028\u2029\uD800-\uDFFF\uFEFF\uFFFE\uFFFF]/u
/** JSON leaves these as they are, and YAML does not take them. */
const LEFT_BY_JSON = /[\u007F-\u009F\u2028\u2029\uFEFF\uFFFE\uFFFF]/g

function double(value: string): string {
  const escaped = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value).replace(LEFT_BY_JSON, escaped)
}

function literal(value: string, { column, newline }: Setting): string | null {
  if (UNPRINTABLE.test(value) || value.includes('\r') || /^\s/.test(value)) return null
  const ends = /\n*$/.exec(value)?.[0].length ?? 0
  const lines = value.slice(0, value.length - ends).split('\n')
  const chomping = ends === 0 ? '-' : ends === 1 ? '' : '+'
  const blank = ends > 1 ? Array<string>(ends - 1).fill('') : []
  const body = [...lines.map((line) => (line === '' ? '' : ' '.repeat(column) + line)), ...blank]
  return [`|${chomping}`, ...body, ''].join(newline)
}

/** What a reader makes of it at such a place. */
function readBack(text: string, { flow, column, newline }: Setting): unknown {
  const indented = `${' '.repeat(Math.max(0, column - 2))}k: `
  const document = parseDocument(flow ? `[${text}]` : `${indented}${text}${newline}`, { logLevel: 'error' })
  if (document.errors.length > 0) return undefined
  const value = document.toJS() as { k?: unknown } & unknown[]
  return flow ? (value.length === 1 ? value[0] : undefined) : value.k
}
