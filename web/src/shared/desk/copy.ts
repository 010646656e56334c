/** Copies text for the person to paste elsewhere, and says whether it could. */
import { toast } from '../ui/toasts'

/** `name` is what the text is called in the sentence about a browser that does not allow it. */
export async function copy(text: string, name: string) {
  try {
    await navigator.clipboard.writeText(text)
    toast('success', 'Copied')
  } catch {
    toast('error', `This page may not use the clipboard. Select the ${name} and copy it by hand.`)
  }
}
