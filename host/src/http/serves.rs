//! What a process says that it serves, so that a gateway notices when its targets lead to another one.
//!
//! It is a header of `/livez`: `/api/auth/login, /api/products/*`. A star is everything below, and the path itself. A process that says
//! nothing may serve anything: it may be no Millrace.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use crate::plan::{Plan, paths};

/// The header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-millrace-serves");
/// The header that says which database a process keeps.
pub(super) const DATABASE: HeaderName = HeaderName::from_static("x-millrace-database");
/// Bytes of a hash that stand for a database.
const DATABASE_BYTES: usize = 6;
/// A list that is longer is not told.
const MAX_BYTES: usize = 4096;

/// What the process of `plan` serves: its routes and files. None if that is too much to say, or nothing.
pub(super) fn told(plan: &Plan) -> Option<HeaderValue> {
    let mut served: Vec<String> = plan.routes.iter().map(|route| paths::beginning(&route.path)).collect();
    served.extend(plan.files.iter().map(|files| format!("{}/*", files.prefix.trim_end_matches('/'))));
    served.sort_unstable();
    served.dedup();
    let trees: Vec<String> = served.iter().filter_map(|path| path.strip_suffix("/*")).map(str::to_owned).collect();
    served.retain(|path| !trees.iter().any(|tree| paths::is_below(tree, path) && *path != format!("{tree}/*")));
    let list = served.join(", ");
    (!list.is_empty() && list.len() <= MAX_BYTES).then(|| HeaderValue::try_from(list).ok()).flatten()
}

/// What stands for the database of that identity, which is nobody's affair.
pub(super) fn database(identity: &str) -> Option<HeaderValue> {
    let hash = Sha256::digest(identity.as_bytes());
    let digits: String = hash.iter().take(DATABASE_BYTES).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(digits).ok()
}

/// Which database the process keeps that has answered with `headers`, if it says so.
pub(super) fn heard_database(headers: &HeaderMap) -> Option<&str> {
    headers.get(DATABASE)?.to_str().ok()
}

/// What the process that has answered with `headers` says that it serves, if it says so.
pub(super) fn heard(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER)?.to_str().ok()
}

/// Whether something of what begins with `path` is in a list that was told.
pub(super) fn covers(list: &str, path: &str) -> bool {
    list.split(',').any(|served| paths::meets(served.trim(), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Access, Endpoint, FileServer, Route, Scope};

    fn list(routes: &[&str], files: &[&str]) -> String {
        let route = |path: &&str| Route {
            method: "GET".into(),
            path: (*path).to_owned(),
            endpoint: Endpoint::Proxy("proxy".into()),
            middlewares: vec![],
            access: Access::Anyone,
            scope: Scope::Own,
            sudo: None,
            sudo_above: None,
        };
        let folder = |prefix: &&str| FileServer {
            name: "pages".into(),
            root: "web".into(),
            prefix: (*prefix).to_owned(),
            spa_fallback: true,
            cache_max_age: std::time::Duration::ZERO,
            limit: None,
        };
        let plan = Plan { routes: routes.iter().map(route).collect(), files: files.iter().map(folder).collect(), ..Plan::default() };
        told(&plan).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn what_is_told_is_short_and_whole() {
        let routes = ["/api/things/{id}/events", "/api/things", "/api/things/{id}", "/api/auth/login", "/api/thingsx"];
        assert_eq!(list(&routes, &[]), "/api/auth/login, /api/things/*, /api/thingsx");
        assert_eq!(list(&["/api/{rest...}", "/api/things/{id}", "/other/*"], &[]), "/api/*, /other/*");
        assert_eq!(list(&["/api/things"], &["/", "/img"]), "/*");
        assert_eq!(list(&[], &[]), "");
        let many: Vec<String> = (0..1000).map(|number| format!("/api/{number}")).collect();
        assert_eq!(list(&many.iter().map(String::as_str).collect::<Vec<_>>(), &[]), "", "nothing rather than a half");
    }

    #[test]
    fn a_prefix_is_served_where_a_path_begins_with_it_or_a_tree_holds_it() {
        let told = "/api/auth/login, /api/auth/profile, /api/products/*";
        for served in ["/api", "/api/auth", "/api/auth/login", "/api/products", "/api/products/1/", "/"] {
            assert!(covers(told, served), "{served}");
        }
        for other in ["/api/things", "/api/product", "/api/authors", "/api/auth/login/1", "/v1/api/products"] {
            assert!(!covers(told, other), "{other}");
        }
        assert!(covers("/*", "/api/things") && covers("/api/*", "/api/things") && !covers("", "/api/things"));
    }
}
