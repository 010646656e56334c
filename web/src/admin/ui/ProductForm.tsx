/** The fields of a product. Where somebody else has saved it meanwhile, what they did stands beside what was typed, and both can be kept. */
import './ProductForm.css'
import { useEffect, useMemo, useRef, useState } from 'react'
import { ApiError, explain } from '../../shared/api/errors'
import { dateTime, money } from '../../shared/format'
import { Field, FormError, SelectField, TextField, useFocusOnError } from '../../shared/ui/Field'
import type { Product, ProductData, Status } from '../api/catalogue'
import { STATUSES } from '../api/catalogue'
import { draftOf, forgetDraft, useDraft } from '../drafts'
import { type Difference, differences, merged, type Values } from '../merge'

interface Props {
  /** What the form begins with, and what it is compared with. */
  product: ProductData
  /** As it is now, where that is something else. */
  theirs?: Product | undefined
  isNew?: boolean
  /** Under which what is typed is kept until it is saved. */
  draft: string
  action: string
  submit: { run: (data: ProductData, id: string) => void; isPending: boolean; error: unknown }
}

/** What is typed. */
export interface ProductDraft {
  mine: ProductData
  price: string
  id: string
}

type Choices = Readonly<Record<string, 'mine' | 'theirs'>>

export function ProductForm({ product, theirs, isNew = false, draft, action, submit }: Props) {
  const form = useRef<HTMLFormElement>(null)
  const clean: ProductDraft = { mine: fields(product), price: isNew ? '' : product.price.toFixed(2), id: '' }
  const [kept, setKept] = useState(() => draftOf<ProductDraft>(draft))
  const [mine, setMine] = useState<ProductData>(kept?.mine ?? clean.mine)
  const [price, setPrice] = useState(kept?.price ?? clean.price)
  const [id, setId] = useState(kept?.id ?? clean.id)
  const typed = useMemo(() => ({ mine, price, id }), [mine, price, id])
  useDraft(draft, typed, JSON.stringify(typed) !== JSON.stringify(clean))
  const discard = () => {
    forgetDraft(draft)
    setKept(undefined)
    setMine(clean.mine)
    setPrice(clean.price)
    setId(clean.id)
  }
  const [choices, choose] = useState<Choices>({})
  useFocusOnError(form, submit.error)
  const wrong = submit.error instanceof ApiError ? ofForm(submit.error.fields) : {}
  const set = (some: Partial<ProductData>) => setMine({ ...mine, ...some })
  const own: ProductData = { ...mine, price: Number(price) }
  const save = () =>
    submit.run(
      theirs ? (merged(fields(product), { ...own }, fields(theirs), choices) as unknown as ProductData) : own,
      id,
    )
  return (
    <form
      ref={form}
      className="form"
      onSubmit={(event) => {
        event.preventDefault()
        save()
      }}
    >
      {kept && (
        <p className="product-form-kept" role="status">
          What you typed before is here again. It is not saved yet.{' '}
          <button type="button" className="table-button" onClick={discard}>
            Discard it
          </button>
        </p>
      )}
      {theirs && <Merge base={fields(product)} mine={{ ...own }} theirs={theirs} choices={choices} choose={choose} />}
      {isNew && (
        <Field
          label="Id"
          name="id"
          value={id}
          spellCheck={false}
          autoCapitalize="none"
          hint="Stands in addresses and lists, and stays as it is. Left empty, the store makes one."
          error={wrong.id}
          onChange={(event) => setId(event.currentTarget.value.trim())}
        />
      )}
      <Field
        label="Name"
        name="name"
        required
        value={mine.name}
        error={wrong.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      <div className="product-form-row">
        <Field
          label="Price in dollars"
          name="price"
          type="number"
          inputMode="decimal"
          step="0.01"
          min="0"
          required
          value={price}
          error={wrong.price}
          onChange={(event) => setPrice(event.currentTarget.value)}
        />
        <Field
          label="Category"
          name="category"
          value={mine.category}
          error={wrong.category}
          onChange={(event) => set({ category: event.currentTarget.value })}
        />
        <SelectField
          label="Status"
          name="status"
          value={mine.status}
          error={wrong.status}
          onChange={(event) => set({ status: event.currentTarget.value as Status })}
        >
          {STATUSES.map((status) => (
            <option key={status}>{status}</option>
          ))}
        </SelectField>
      </div>
      <TextField
        label="Description"
        name="description"
        rows={4}
        value={mine.description}
        error={wrong.description}
        onChange={(event) => set({ description: event.currentTarget.value })}
      />
      <Field
        label="Picture"
        name="image"
        value={mine.image}
        spellCheck={false}
        hint="A path on this site, such as /img/electronics.svg."
        error={wrong.image}
        onChange={(event) => set({ image: event.currentTarget.value })}
      />
      {mine.image.startsWith('/') && <img className="product-form-picture" src={mine.image} alt="" />}
      {submit.error !== undefined && Object.keys(wrong).length === 0 && <FormError>{explain(submit.error)}</FormError>}
      <div className="actions">
        <button type="submit" className="button" aria-disabled={submit.isPending}>
          {submit.isPending ? 'One moment…' : action}
        </button>
      </div>
    </form>
  )
}

/** Some of the API's pointers lead into `data`. */
function ofForm(wrong: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(wrong).map(([field, words]) => [field.replace(/^data\./, ''), words]))
}

/** What the form knows of a product, and nothing else. */
function fields({ name, price, category, description, image, status }: ProductData): ProductData & Values {
  return { name, price, category, description, image, status }
}

interface MergeProps {
  base: Values
  mine: Values
  theirs: Product
  choices: Choices
  choose: (choices: Choices) => void
}

function Merge({ base, mine, theirs, choices, choose }: MergeProps) {
  const found = differences(base, mine, fields(theirs))
  const others = found.filter((each) => !isSame(each.base, each.theirs))
  const box = useRef<HTMLDivElement>(null)
  // The button that was pressed may be a screen further down.
  useEffect(() => box.current?.focus(), [])
  return (
    <div ref={box} className="merge" role="alert" tabIndex={-1}>
      <p>
        <b>Somebody else has saved this product meanwhile</b> ({dateTime(theirs.lastUpdate)}). Nothing of yours is lost:
        look at what they changed, then save again.
      </p>
      <ul>
        {others.map((each) => (
          <li key={each.field}>
            {each.isConflict ? (
              <Choice
                difference={each}
                chosen={choices[each.field]}
                choose={(whose) => choose({ ...choices, [each.field]: whose })}
              />
            ) : (
              <p>
                They changed the {each.field} from {written(each.field, each.base)} to{' '}
                <b>{written(each.field, each.theirs)}</b>. It is kept.
              </p>
            )}
          </li>
        ))}
        {others.length === 0 && <li>What they changed is not in this form.</li>}
      </ul>
    </div>
  )
}

interface ChoiceProps {
  difference: Difference
  chosen: 'mine' | 'theirs' | undefined
  choose: (whose: 'mine' | 'theirs') => void
}

function Choice({ difference: { field, base, mine, theirs }, chosen, choose }: ChoiceProps) {
  return (
    <fieldset className="merge-choice">
      <legend>
        Both of you changed the {field}, which was {written(field, base)}. Which one stays?
      </legend>
      {(['theirs', 'mine'] as const).map((whose) => (
        <label key={whose} className="check">
          <input
            type="radio"
            name={`merge-${field}`}
            required
            checked={chosen === whose}
            onChange={() => choose(whose)}
          />
          <span>
            {whose === 'mine' ? 'Yours' : 'Theirs'}: {written(field, whose === 'mine' ? mine : theirs)}
          </span>
        </label>
      ))}
    </fieldset>
  )
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function written(field: string, value: unknown): string {
  if (field === 'price' && typeof value === 'number') return money(value)
  return value === '' || value === undefined ? 'nothing' : `“${String(value)}”`
}
