/** The pages of anybody who looks around, as one file: together they are smaller than four that are compressed one by one. */
export { default as CartPage } from './CartPage'
export { default as LoginPage } from './LoginPage'
export { default as ProductPage } from './ProductPage'
export { default as RegisterPage } from './RegisterPage'
