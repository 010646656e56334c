//! Products from a table of comma-separated values (RFC 4180): what each row would change, and what is wrong with it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::money::Cents;
use super::products::PRICE;
use crate::store::Object;
use crate::text;

/// Rows of one table.
pub const MAX_ROWS: usize = 5_000;
/// Characters of one cell.
const MAX_CELL: usize = 4_000;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 40;
/// Columns that name the product.
const ID: [&str; 2] = ["sku", "id"];
/// Columns with text.
const TEXTS: [&str; 4] = ["name", "description", "category", "image"];
/// What some programs write before the text.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// How text in UTF-16 begins.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RowError {
    /// Line of the file in which the row begins, from 1.
    pub line: u64,
    /// Column; `null` where it is the row as a whole.
    pub field: Option<String>,
    /// What is wrong, with the value and what would be accepted.
    pub detail: String,
}

/// A row that can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Line of the file in which it begins, from 1.
    pub line: u64,
    /// The product.
    pub sku: String,
    /// Fields that it gives; an empty cell gives none.
    pub fields: Object,
    /// Units, which only a new product takes from here.
    pub units: Option<u64>,
}

/// A table, as far as it can be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Rows that can be read.
    pub rows: Vec<Row>,
    /// What is wrong with the others.
    pub errors: Vec<RowError>,
}

/// Reads a table whose products have their status in the field `status`, and their units in the field `units`.
#[must_use]
pub fn read(bytes: &[u8], status: &str, units: Option<&str>) -> Table {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    if let Some(problem) = other_form(bytes) {
        return Table { errors: vec![whole(1, problem)], ..Table::default() };
    }
    if bytes.contains(&0) {
        let detail = "the file is no text, as that of a spreadsheet is none: save the table as CSV, separated by commas, in UTF-8";
        return Table { errors: vec![whole(1, detail.into())], ..Table::default() };
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut records = reader.byte_records();
    let mut table = Table::default();
    let head = match records.next() {
        Some(Ok(record)) => head(&record, status, units),
        Some(Err(error)) => Err(vec![whole(1, format!("the table cannot be read: {error}"))]),
        None => Err(vec![whole(1, "the table is empty: expected a first line with the names of the columns, sku among them".into())]),
    };
    let head = match head {
        Ok(head) => head,
        Err(errors) => return Table { errors, ..table },
    };
    let (mut seen, mut lines) = (BTreeSet::new(), Lines::of(bytes));
    for record in records {
        let row = match record {
            Ok(record) if record.iter().all(<[u8]>::is_empty) => continue,
            Ok(record) => head.row(&record, lines.at(record.position())),
            Err(error) => {
                let line = lines.at(error.position());
                Err(vec![whole(line, format!("the row cannot be read: {error}"))])
            }
        };
        match row {
            Ok(row) if !seen.insert(row.sku.clone()) => {
                table.errors.push(of(row.line, "sku", format!("'{}' is in an earlier row as well", shown(&row.sku))));
            }
            Ok(row) => table.rows.push(row),
            Err(errors) => table.errors.extend(errors),
        }
        if table.rows.len() > MAX_ROWS {
            let errors = vec![whole(0, format!("the table has more than {MAX_ROWS} rows: send it in parts"))];
            return Table { errors, ..Table::default() };
        }
    }
    table
}

/// Tables as spreadsheets save them where the comma is the decimal point, or as text: told as what they are.
fn other_form(bytes: &[u8]) -> Option<String> {
    if UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
        return Some("the table is UTF-16: save it as CSV in UTF-8".into());
    }
    let first = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let has = |separator| first.contains(&separator);
    let found = [(b';', "semicolons"), (b'\t', "tabs")].into_iter().find(|(separator, _)| has(*separator) && !has(b','));
    found.map(|(_, name)| format!("the cells are separated by {name}: save the table with commas, and prices with a decimal point"))
}

/// Lines of a table, as a person counts them: wherever the reader stands between two rows, the next one begins after all ends of lines.
struct Lines<'a> {
    bytes: &'a [u8],
    counted: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, counted: 0, line: 1 }
    }

    /// The line of the row at this place, which is not before that of the last call.
    fn at(&mut self, place: Option<&csv::Position>) -> u64 {
        let mut start =
            place.and_then(|place| usize::try_from(place.byte()).ok()).unwrap_or(self.counted).clamp(self.counted, self.bytes.len());
        start += self.bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.line += self.bytes[self.counted..start].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.counted = start;
        self.line
    }
}

/// What a column holds.
#[derive(Clone)]
enum Column {
    Id,
    Text(String),
    Price,
    Status(String),
    Units(String),
}

struct Head(Vec<Column>);

/// The names of the columns; what they are is said all at once.
fn head(record: &csv::ByteRecord, status: &str, units: Option<&str>) -> Result<Head, Vec<RowError>> {
    let (mut columns, mut errors, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for name in record {
        let name = String::from_utf8_lossy(name).trim().to_owned();
        let column = match name.as_str() {
            id if ID.contains(&id) => Some(Column::Id),
            PRICE => Some(Column::Price),
            text if TEXTS.contains(&text) => Some(Column::Text(name.clone())),
            other if other == status => Some(Column::Status(name.clone())),
            other if Some(other) == units => Some(Column::Units(name.clone())),
            _ => None,
        };
        let key = if matches!(column, Some(Column::Id)) { ID[0].to_owned() } else { name.clone() };
        if !seen.insert(key) {
            errors.push(of(1, &shown(&name), "the column is there twice".into()));
        }
        match column {
            Some(column) => columns.push(column),
            None => {
                let more = units.map(|units| format!(", {units}")).unwrap_or_default();
                let known = format!("sku, {}, {PRICE}, {status}{more}", TEXTS.join(", "));
                errors.push(of(1, &shown(&name), format!("unknown column; accepted: {known}")));
            }
        }
    }
    if columns.is_empty() && !errors.is_empty() {
        // It is a row, then, and not one mistake for each of its cells.
        let detail =
            format!("names no column, but has '{}': the first line has to name the columns, sku among them", shown(&text_of(record)));
        return Err(vec![whole(1, detail)]);
    }
    if !columns.iter().any(|column| matches!(column, Column::Id)) {
        errors.push(of(1, ID[0], "the column is missing: it names the product of each row".into()));
    }
    if errors.is_empty() { Ok(Head(columns)) } else { Err(errors) }
}

impl Head {
    fn row(&self, record: &csv::ByteRecord, line: u64) -> Result<Row, Vec<RowError>> {
        if record.len() != self.0.len() {
            let detail = format!("has {} cells, and the first line names {} columns", record.len(), self.0.len());
            return Err(vec![whole(line, detail)]);
        }
        let mut row = Row { line, sku: String::new(), fields: Object::new(), units: None };
        let mut errors = Vec::new();
        for (column, cell) in self.0.iter().zip(record) {
            let taken = match std::str::from_utf8(cell) {
                Ok(cell) => column.take(cell.trim(), &mut row),
                Err(_) => Err("is no UTF-8: save the table as UTF-8".into()),
            };
            if let Err(detail) = taken {
                errors.push(of(line, column.name(), detail));
            }
        }
        if errors.is_empty() { Ok(row) } else { Err(errors) }
    }
}

impl Column {
    fn name(&self) -> &str {
        match self {
            Self::Id => ID[0],
            Self::Price => PRICE,
            Self::Text(name) | Self::Status(name) | Self::Units(name) => name,
        }
    }

    /// Puts a cell into a row; an error is what is wrong with it.
    fn take(&self, cell: &str, row: &mut Row) -> Result<(), String> {
        if text::length(cell) > MAX_CELL {
            return Err(format!("has {} characters, expected {MAX_CELL} at most", text::length(cell)));
        }
        match self {
            Self::Id if cell.is_empty() => return Err("is empty: it names the product".into()),
            Self::Id => cell.clone_into(&mut row.sku),
            _ if cell.is_empty() => {}
            Self::Price => {
                let price = Cents::from_json(&Value::String(cell.to_owned()));
                let price =
                    price.ok_or_else(|| format!("'{}' is no price: 0 or more, such as 149.99, with at most two decimals", shown(cell)))?;
                row.fields.insert(PRICE.into(), price.to_json());
            }
            Self::Units(_) => {
                let units = cell.parse().ok().filter(|units| i64::try_from(*units).is_ok());
                row.units =
                    Some(units.ok_or_else(|| format!("'{}' is no number of units: expected a whole number, 0 or more", shown(cell)))?);
            }
            Self::Text(name) | Self::Status(name) => {
                if let Some(control) = cell.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
                    return Err(format!("must not contain the control character U+{:04X}", u32::from(control)));
                }
                row.fields.insert(name.clone(), cell.into());
            }
        }
        Ok(())
    }
}

fn text_of(record: &csv::ByteRecord) -> String {
    String::from_utf8_lossy(&record.iter().collect::<Vec<_>>().join(&b',')).into_owned()
}

fn shown(value: &str) -> String {
    text::quoted(value, MAX_SHOWN)
}

fn of(line: u64, field: &str, detail: String) -> RowError {
    RowError { line, field: Some(field.to_owned()), detail }
}

fn whole(line: u64, detail: String) -> RowError {
    RowError { line, field: None, detail }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(text: &str) -> Table {
        read(text.as_bytes(), "status", Some("stock"))
    }

    fn errors(text: &str) -> Vec<(u64, String)> {
        table(text).errors.into_iter().map(|error| (error.line, error.field.unwrap_or_default())).collect()
    }

    #[test]
    fn a_table_is_read_as_programs_write_it() {
        let plain = "sku,name,price,stock\nprod-1,\"Desk, \"\"large\"\"\",149.99,7\nprod-2,,,\n";
        let expected = table(plain);
        assert_eq!((expected.rows.len(), expected.errors.len()), (2, 0), "{expected:?}");
        assert_eq!(Value::Object(expected.rows[0].fields.clone()), json!({"name": "Desk, \"large\"", "price": 149.99}));
        assert_eq!((expected.rows[0].units, &expected.rows[1].fields), (Some(7), &Object::new()), "an empty cell gives nothing");
        for same in [format!("\u{feff}{plain}"), plain.replace('\n', "\r\n"), plain.trim_end().to_owned(), format!("{plain}\n\n")] {
            assert_eq!(
                table(&same).rows.iter().map(|row| &row.fields).collect::<Vec<_>>(),
                expected.rows.iter().map(|row| &row.fields).collect::<Vec<_>>()
            );
        }
        let lines = table("id,description\r\na,\"two\r\nlines\"\r\nb,x\r\n");
        assert_eq!((lines.rows[0].line, lines.rows[1].line), (2, 4), "{lines:?}");
    }

    #[test]
    fn a_table_of_another_form_is_told_as_what_it_is() {
        let told = |bytes: &[u8]| {
            let table = read(bytes, "status", Some("stock"));
            assert!(table.rows.is_empty() && table.errors.len() == 1, "{table:?}");
            table.errors[0].detail.clone()
        };
        assert!(told(b"sku;name;price\nprod-1;Desk;1,50\n").contains("semicolons"));
        assert!(told(b"\xef\xbb\xbfsku\tname\r\nprod-1\tDesk, large\r\n").contains("tabs"));
        let utf_16: Vec<u8> = "\u{feff}sku,name\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(told(&utf_16).contains("UTF-16"));
        assert_eq!(table("sku\na;b\n").rows[0].sku, "a;b", "a name may have what separates elsewhere");
    }

    #[test]
    fn each_bad_row_is_named_by_line_and_field() {
        assert_eq!(errors("sku,price\na,1\nb,12 EUR\nc,0.005\nd,-1\n"), [(3, "price".into()), (4, "price".into()), (5, "price".into())]);
        assert_eq!(
            errors("sku,stock\na,-1\nb,1.5\n,3\na,1\na,2\n"),
            [(2, "stock".into()), (3, "stock".into()), (4, "sku".into()), (6, "sku".into())]
        );
        assert_eq!(errors("sku,name\na\nb,x,y\nc,z\n"), [(2, String::new()), (3, String::new())]);
        assert_eq!(errors("sku,name\na,\u{1b}[2J\n"), [(2, "name".into())]);
        let latin = read(b"sku,name\na,caf\xe9\n", "status", None);
        assert!(latin.errors[0].detail.contains("UTF-8") && latin.errors[0].line == 2, "{latin:?}");
    }

    #[test]
    fn a_head_says_all_that_is_wrong_with_it() {
        assert_eq!(errors(""), [(1, String::new())]);
        assert_eq!(errors("name,colour,name\n"), [(1, "colour".into()), (1, "name".into()), (1, "sku".into())]);
        assert_eq!(errors("sku,id\n"), [(1, "id".into())]);
        for (wrong, says) in [
            ("sku;name\na;b\n", "separated by semicolons"),
            ("sku\tname\na\tb\n", "separated by tabs"),
            ("prod-1,Desk,149.99\nprod-2,Lamp,5\n", "'prod-1,Desk,149.99': the first line has to name the columns"),
            ("PK\u{3}\u{4}\0\0,sku\n", "save the table as CSV"),
        ] {
            let said = table(wrong).errors;
            assert_eq!(said.len(), 1, "one mistake is told once: {said:?}");
            assert!(said[0].detail.contains(says), "{said:?}");
        }
        let unknown = table("sku,colour\n").errors.remove(0).detail;
        assert!(unknown.contains("accepted: sku, name, description, category, image, price, status, stock"), "{unknown}");
    }
}
