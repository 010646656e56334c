//! What the routes of a shop's admin do.

/// What the admin of a shop does with products and their stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopOperation {
    /// `GET /products` with `scope: all`
    Search,
    /// `GET /products/{id}/prices`
    Prices,
    /// `POST /products/import`
    Import,
    /// `GET /stock`
    Levels,
    /// `GET /stock/{id}/moves`
    Moves,
    /// `POST /stock/{id}/moves`
    Move,
}

impl ShopOperation {
    /// As it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Prices => "prices",
            Self::Import => "import",
            Self::Levels => "stock",
            Self::Moves => "stock_moves",
            Self::Move => "move_stock",
        }
    }
}
