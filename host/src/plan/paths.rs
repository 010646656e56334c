//! Paths as the router sees them, and those that the program answers whatever the config says.

/// Where the API describes itself.
pub const OPENAPI: &str = "/openapi.json";
/// Where a process with a `metrics.collector` tells its metrics.
pub const METRICS: &str = "/metrics";
/// Below it a process with a stock secret takes reservations of other processes.
pub const RESERVATIONS: &str = "/internal/reservations/";

/// Below it a process with a stock secret and accounts tells other processes whose an e-mail is.
pub const ACCOUNTS: &str = "/internal/accounts/";

/// The template that the router knows a path by. Placeholders are numbered by position, since two routes may name the same one differently.
#[must_use]
pub fn template(path: &str) -> String {
    let part = |(position, part): (usize, &str)| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        Some(rest) if rest.starts_with('*') || rest.ends_with("...") => "{*rest}".to_owned(),
        Some(_) => format!("{{p{position}}}"),
        None if part == "*" => "{*rest}".to_owned(),
        None => part.to_owned(),
    };
    path.split('/').enumerate().map(part).collect::<Vec<_>>().join("/")
}

/// Where processes of one installation compare settings that must be the same.
pub const AGREEMENT: &str = "/internal/agreement";

/// The template of everything below `prefix`, which ends with a slash.
#[must_use]
pub fn below(prefix: &str) -> String {
    format!("{prefix}{{*rest}}")
}

/// A path of a route up to its first placeholder, with a star for it and everything below: `/api/things/*` of `/api/things/{id}/events`.
#[must_use]
pub fn beginning(path: &str) -> String {
    let fixed: Vec<&str> = path.split('/').take_while(|part| *part != "*" && !part.starts_with('{')).collect();
    let fixed = fixed.join("/");
    if fixed == path { fixed } else { format!("{fixed}/*") }
}

/// Whether `path` is `prefix` or below it.
#[must_use]
pub fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a [`beginning`] and what is below `prefix` have something in common.
#[must_use]
pub fn meets(beginning: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    match beginning.strip_suffix("/*") {
        Some(tree) => is_below(tree, prefix) || is_below(prefix, tree),
        None => is_below(prefix, beginning),
    }
}

#[cfg(test)]
mod tests {
    use super::template;

    #[test]
    fn placeholders_are_told_apart_by_position_only() {
        assert_eq!(template("/api/things/{id}/events"), "/api/things/{p3}/events");
        assert_eq!(template("/api/things/{thing}"), template("/api/things/{id}"));
        assert_eq!((template("/api/*"), template("/api/{path...}")), ("/api/{*rest}".into(), "/api/{*rest}".into()));
    }
}
