//! Paths as the router sees them, and those that the program answers whatever the config says.

/// Where the API describes itself.
pub const OPENAPI: &str = "/openapi.json";
/// Where a process with a `metrics.collector` tells its metrics.
pub const METRICS: &str = "/metrics";
/// Below it a process with a stock secret takes reservations of other processes.
pub const RESERVATIONS: &str = "/internal/reservations/";

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
