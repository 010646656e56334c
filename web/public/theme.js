// Applies the chosen theme before the first paint. src/shop/ui/theme.ts writes the choice.
try {
  const theme = localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Without storage there is no choice to apply.
}
