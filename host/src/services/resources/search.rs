//! Lists that are narrowed and searched: what a query may ask for, and what it means for the store.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::caller::Caller;
use super::handler::Handler;
use super::service::{Resources, page_size};
use super::view::{self, Page};
use crate::plan::{self, FieldForm, ResourceHandler};
use crate::services::ServiceError;
use crate::services::engine::draws::DRAWN;
use crate::store::{Counted, Form, Key, KeysOf, Matches, Resource, Search, Wanted, end_of_id};
use crate::text;

/// Characters of a text that is searched for.
pub const MAX_TERM: usize = 200;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 40;

/// A parameter that a list may be narrowed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// What it takes.
    pub takes: Takes,
}

/// What a [`Parameter`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A date, or a date with a time.
    Time,
    /// `true` or `false`.
    Flag,
}

/// What resources of `handler` are found by in the store, and what is counted of them; `None` if they are found by nothing but their id and not
/// counted.
#[must_use]
pub fn keys(handler: &ResourceHandler) -> Option<KeysOf> {
    let filters = handler.filterable.iter().map(|filter| Key {
        name: filter.name.clone(),
        path: filter.field.clone(),
        form: match filter.form {
            FieldForm::Text => Form::Text,
            FieldForm::Number => Form::Number,
            FieldForm::Money => Form::Hundredths,
        },
    });
    let texts = handler.searchable.iter().map(|field| Key { name: searched(field), path: field.clone(), form: Form::Text });
    let drawn = handler.draws.iter().map(|draws| Key { name: DRAWN.to_owned(), path: draws.by.clone(), form: Form::Text });
    let end = handler.is_searched().then(|| Key { name: ID_END.to_owned(), path: String::new(), form: Form::IdEnd });
    let keys: Vec<Key> = filters.chain(texts).chain(drawn).chain(end).collect();
    let counted = handler.figures.as_ref().map(counted);
    (!keys.is_empty() || counted.is_some()).then(|| KeysOf { kind: handler.kind.clone(), keys, counted })
}

/// What the store counts.
fn counted(figures: &plan::Figures) -> Counted {
    let form = match figures.form {
        FieldForm::Money => Form::Hundredths,
        FieldForm::Number | FieldForm::Text => Form::Number,
    };
    Counted { amount: figures.field.clone(), form, states: figures.states.clone() }
}

/// The key of the end of an id.
const ID_END: &str = "#";

/// The key of a field that is searched: no filter has such a name.
fn searched(field: &str) -> String {
    format!("?{field}")
}

/// Names of the parameters of a number.
fn bounds(filter: &plan::Filterable) -> [String; 2] {
    let mut letters = filter.name.chars();
    let name: String = letters.next().into_iter().map(|first| first.to_ascii_uppercase()).chain(letters).collect();
    [format!("min{name}"), format!("max{name}")]
}

/// What a list of `handler` may be narrowed by.
#[must_use]
pub fn parameters(handler: &ResourceHandler) -> Vec<Parameter> {
    let parameter = |name: &str, takes: Takes, about: String| Parameter { name: name.to_owned(), about, takes };
    let mut all = vec![
        parameter("state", Takes::Text, "Only those in this state".into()),
        parameter("from", Takes::Time, "Only those created then or later: a date (UTC), or a date with a time".into()),
        parameter("to", Takes::Time, "Only those created before that time, or on that day or before it".into()),
        parameter("attention", Takes::Flag, "true: only those that a person is asked to look at".into()),
    ];
    for filter in &handler.filterable {
        let what = match filter.form {
            FieldForm::Text => {
                all.push(parameter(&filter.name, Takes::Text, format!("Only those whose {} is this", filter.field)));
                continue;
            }
            FieldForm::Number => "",
            FieldForm::Money => ", in minor units",
        };
        let [least, most] = bounds(filter);
        all.push(parameter(&least, Takes::Number, format!("Only those whose {} is that or more{what}", filter.field)));
        all.push(parameter(&most, Takes::Number, format!("Only those whose {} is that or less{what}", filter.field)));
    }
    let fields: Vec<&str> = handler.searchable.iter().map(String::as_str).collect();
    let among = if fields.is_empty() { String::new() } else { format!(", {}", fields.join(", ")) };
    all.push(parameter("search", Takes::Text, format!("Only those that have exactly this as id, owner, e-mail of the owner{among}")));
    all
}

/// A query, understood.
struct Asked {
    search: Search,
    term: Option<String>,
}

impl Asked {
    fn of(handler: &Handler, owner: Option<&str>, query: &[(String, String)]) -> Result<Self, ServiceError> {
        let settings = &handler.settings;
        let (mut limit, mut term) = (None, None);
        let mut search = Search { kind: settings.kind.clone(), owner: owner.map(str::to_owned), ..Search::default() };
        for (name, value) in query {
            let value = value.trim();
            match name.as_str() {
                "limit" => limit = Some(number(name, value)?),
                "cursor" => search.after = Some(view::parse_cursor(value)?),
                // A form sends what was left empty. The description allows that, but not an empty time, which is neither a date nor a time.
                _ if value.is_empty() && !matches!(name.as_str(), "from" | "to") => {}
                "state" => search.state = Some(bounded(name, value)?),
                "from" => search.from = Some(time(name, value, false)?),
                "to" => search.to = Some(time(name, value, true)?),
                "attention" => search.attention = flag(name, value)?,
                "search" => term = Some(bounded(name, value)?),
                _ => {
                    let wanted = wanted(settings, name, value, &search.keys)?;
                    search.keys.retain(|other| name_of(other) != name_of(&wanted));
                    search.keys.push(wanted);
                }
            }
        }
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        search.limit = page_size(handler, limit)?;
        Ok(Self { search, term })
    }
}

fn name_of(wanted: &Wanted) -> &str {
    match wanted {
        Wanted::Text { name, .. } | Wanted::Number { name, .. } => name,
    }
}

/// What a parameter of the handler's own asks for, together with what was asked of the same field before.
fn wanted(settings: &ResourceHandler, name: &str, value: &str, known: &[Wanted]) -> Result<Wanted, ServiceError> {
    for filter in &settings.filterable {
        if filter.form == FieldForm::Text {
            if filter.name == name {
                return Ok(Wanted::Text { name: filter.name.clone(), is: bounded(name, value)? });
            }
            continue;
        }
        let [least, most] = bounds(filter);
        if name != least && name != most {
            continue;
        }
        let before = known.iter().find_map(|other| match other {
            Wanted::Number { name, least, most } if *name == filter.name => Some((*least, *most)),
            _ => None,
        });
        let (from, to) = before.unwrap_or((i64::MIN, i64::MAX));
        let number = number(name, value)?;
        let (least, most) = if name == least { (number, to) } else { (from, number) };
        return Ok(Wanted::Number { name: filter.name.clone(), least, most });
    }
    let accepted: Vec<String> = parameters(settings).into_iter().map(|parameter| parameter.name).collect();
    Err(ServiceError::field(name, format!("there is no such filter; accepted are limit, cursor, {}", accepted.join(", "))))
}

fn shown(value: &str) -> String {
    text::quoted(value, MAX_SHOWN)
}

fn number(name: &str, value: &str) -> Result<i64, ServiceError> {
    value.parse().map_err(|_| ServiceError::field(name, format!("expected a whole number, got '{}'", shown(value))))
}

fn flag(name: &str, value: &str) -> Result<bool, ServiceError> {
    value.parse().map_err(|_| ServiceError::field(name, format!("expected true or false, got '{}'", shown(value))))
}

fn bounded(name: &str, value: &str) -> Result<String, ServiceError> {
    if text::length(value) > MAX_TERM {
        return Err(ServiceError::field(name, format!("expected {MAX_TERM} characters at most")));
    }
    Ok(value.to_owned())
}

/// A time, or the beginning of a day; as an end the end of that day.
pub(super) fn time(name: &str, value: &str, is_end: bool) -> Result<Timestamp, ServiceError> {
    if let Ok(time) = value.parse::<Timestamp>() {
        return Ok(time);
    }
    let day = value.parse::<Date>().ok().filter(|_| value.len() == "2026-01-31".len());
    let day = day.and_then(|day| if is_end { day.checked_add(1.day()).ok() } else { Some(day) });
    let begin = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok()).map(|zoned| zoned.timestamp());
    begin.ok_or_else(|| {
        ServiceError::field(
            name,
            format!("expected a date such as 2026-01-31 or a time such as 2026-01-31T12:00:00Z, got '{}'", shown(value)),
        )
    })
}

impl Resources {
    /// Whether a list of `handler` is narrowed by any of these parameters.
    #[must_use]
    pub fn is_narrowed(&self, handler: &str, query: &[(String, String)]) -> bool {
        let Ok(handler) = self.handler(handler) else { return false };
        handler.settings.is_searched() && {
            let known = parameters(&handler.settings);
            query.iter().any(|(name, _)| known.iter().any(|parameter| parameter.name == *name))
        }
    }

    /// Resources that the caller reaches and that are all that `query` asks for, the newest first. A page may have fewer than its limit, and
    /// another one after it all the same: so many are looked at for one page and no more.
    ///
    /// # Errors
    /// A parameter that there is not, or one whose value is none.
    pub async fn search(&self, handler: &str, caller: &Caller, query: &[(String, String)]) -> Result<Page, ServiceError> {
        let handler = self.handler(handler)?;
        let Matches { resources, next } = self.found(handler, caller, query).await?;
        let next = next.map(|(at, id)| view::cursor_at(at, &id));
        Ok(Page { items: self.bodies(handler, caller, &resources).await?, next })
    }

    pub(super) async fn found(&self, handler: &Handler, caller: &Caller, query: &[(String, String)]) -> Result<Matches, ServiceError> {
        let Asked { search, term } = Asked::of(handler, handler.reach(caller)?, query)?;
        let Some(term) = term else { return Ok(self.store().find(&search).await?) };
        let mut found = Vec::new();
        for one in self.meanings(handler, &search, &term).await? {
            found.push(self.store().find(&one).await?);
        }
        Ok(together(found, search.limit))
    }

    /// What `term` may be: each a search of its own.
    async fn meanings(&self, handler: &Handler, search: &Search, term: &str) -> Result<Vec<Search>, ServiceError> {
        let with_key = |field: &String| {
            let mut one = search.clone();
            one.keys.push(Wanted::Text { name: searched(field), is: term.to_owned() });
            one
        };
        let mut all: Vec<Search> = handler.settings.searchable.iter().map(with_key).collect();
        all.push(Search { id: Some(term.to_owned()), ..search.clone() });
        let prefix = &handler.settings.id_prefix;
        if !prefix.is_empty() && !term.starts_with(prefix.as_str()) {
            all.push(Search { id: Some(format!("{prefix}{term}")), ..search.clone() });
        }
        // As people are shown it, with or without the sign before it.
        let short = term.strip_prefix('#').unwrap_or(term);
        if let Some(end) = end_of_id(short).filter(|end| end.chars().count() == short.chars().count()) {
            let mut one = search.clone();
            one.keys.push(Wanted::Text { name: ID_END.to_owned(), is: end });
            all.push(one);
        }
        // Who reaches their own only finds no others: nobody is asked whose it is.
        let by_email = if term.contains('@') && search.owner.is_none() { self.directory().owner_of(term).await? } else { None };
        let owners = [Some(term.to_owned()).filter(|term| !term.contains('@')), by_email].into_iter().flatten();
        let owners = owners.filter(|owner| search.owner.as_ref().is_none_or(|own| own == owner));
        all.extend(owners.map(|owner| Search { owner: Some(owner), ..search.clone() }));
        Ok(all)
    }
}

/// What several searches have found as one page. Beyond the place up to which one of them has looked nothing is shown yet.
fn together(found: Vec<Matches>, limit: usize) -> Matches {
    let place = |resource: &Resource| (resource.created_at, resource.id.clone());
    let seen = found.iter().filter_map(|one| one.next.clone()).max();
    let mut all: Vec<Resource> = found.into_iter().flat_map(|one| one.resources).collect();
    all.sort_by_key(|resource| std::cmp::Reverse(place(resource)));
    all.dedup_by(|one, other| one.id == other.id);
    all.retain(|resource| seen.as_ref().is_none_or(|seen| place(resource) >= *seen));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = if more { all.last().map(place) } else { seen };
    Matches { resources: all, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_its_first_moment_and_ends_with_its_last() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(time("from", "2026-02-28", false).unwrap(), at("2026-02-28T00:00:00Z"));
        assert_eq!(time("to", "2026-02-28", true).unwrap(), at("2026-03-01T00:00:00Z"));
        for is_end in [false, true] {
            assert_eq!(time("to", "2026-02-28T12:00:00+02:00", is_end).unwrap(), at("2026-02-28T10:00:00Z"));
        }
        for wrong in ["yesterday", "2026-13-01", "2026-02-30", "1"] {
            assert!(time("from", wrong, false).unwrap_err().to_string().contains("expected a date such as"), "{wrong}");
        }
    }

    #[test]
    fn what_several_searches_find_is_one_list_as_far_as_all_have_looked() {
        let thing = |seconds: i64, id: &str| Resource {
            kind: "things".into(),
            id: id.into(),
            owner: None,
            state: "active".into(),
            version: 1,
            data: std::sync::Arc::default(),
            workflow: None,
            created_at: Timestamp::from_second(seconds).unwrap(),
            updated_at: Timestamp::from_second(seconds).unwrap(),
        };
        let place = |seconds: i64, id: &str| Some((Timestamp::from_second(seconds).unwrap(), id.to_owned()));
        let ids = |found: &Matches| found.resources.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        let one = Matches { resources: vec![thing(9, "a"), thing(7, "b")], next: place(7, "b") };
        let other = Matches { resources: vec![thing(9, "a"), thing(8, "c"), thing(1, "d")], next: None };
        let all = together(vec![one.clone(), other.clone()], 5);
        assert_eq!((ids(&all), all.next), (vec!["a".into(), "c".into(), "b".into()], place(7, "b")));
        let two = together(vec![one, other], 2);
        assert_eq!((ids(&two), two.next), (vec!["a".into(), "c".into()], place(8, "c")));
    }
}
