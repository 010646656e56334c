//! No file imports another in a circle, and the rooms of `services/` import each other in one direction.
//!
//! A file and the files below it (`http/mod.rs` and `http/routes.rs`) are one thing with a door: what they take from each other is no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

use super::{code, part, sources};

/// Parts in which a file and those below it are no one thing: neither they import each other in a circle.
const WITHOUT_DOORS: &[&str] = &["app", "config", "plan"];

/// What each room of `services/` may import of the others.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("generation", &[]),
    ("audit", &["error"]),
    ("engine", &["generation"]),
    ("console", &["audit", "engine", "error", "messaging", "operations", "resources", "users"]),
    ("messaging", &["engine", "users"]),
    ("operations", &["engine"]),
    ("users", &["audit", "error"]),
    ("shop", &["error", "generation"]),
    ("resources", &["audit", "engine", "error", "generation", "shop", "users"]),
];

/// A module by the names on the way to it, for example `["http", "routes"]`.
type Module = Vec<String>;

/// Each module of the host, with the modules that it names.
struct Imports(BTreeMap<Module, BTreeSet<Module>>);

impl Imports {
    /// Of files by their path below `src`, and their text.
    fn read<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>) -> Self {
        let files: BTreeMap<Module, String> = files.map(|(path, text)| (module_of(path), without_tests(&code(text)))).collect();
        let modules: BTreeSet<Module> = files.keys().cloned().collect();
        let named = |module: &Module, text: &str| {
            let paths = paths_in(text).into_iter().filter_map(|path| resolve(module, &path, &modules));
            paths.filter(|other| other != module).collect::<BTreeSet<_>>()
        };
        Self(files.iter().map(|(module, text)| (module.clone(), named(module, text))).collect())
    }

    /// What ties each circle. What a file and those below it take from each other is none.
    fn circles(&self) -> Vec<Vec<String>> {
        self.circles_without(is_one_thing)
    }

    /// What ties each circle, imports between two modules that are `left_out` aside.
    fn circles_without(&self, left_out: impl Fn(&[String], &[String]) -> bool) -> Vec<Vec<String>> {
        let mut graph = DiGraph::<&Module, ()>::new();
        let nodes: BTreeMap<&Module, _> = self.0.keys().map(|module| (module, graph.add_node(module))).collect();
        for (module, others) in &self.0 {
            for other in others.iter().filter(|other| !left_out(module, other)) {
                graph.add_edge(nodes[module], nodes[other], ());
            }
        }
        let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
        let ties = |circle: Vec<NodeIndex>| {
            let within = graph.edge_references().filter(|edge| circle.contains(&edge.source()) && circle.contains(&edge.target()));
            within.map(|edge| format!("{} imports {}", graph[edge.source()].join("::"), graph[edge.target()].join("::"))).collect()
        };
        circles.map(ties).collect()
    }

    /// Rooms of `services/` that import what `ROOMS` does not say.
    fn trespasses(&self) -> Vec<String> {
        let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
        let mut found = Vec::new();
        for (module, others) in &self.0 {
            let Some(room) = room_of(module) else { continue };
            for other in others.iter().filter_map(|other| room_of(other)).filter(|other| *other != room) {
                if !allowed.get(room).is_some_and(|allowed| allowed.contains(&other)) {
                    found.push(format!("{} imports of the room '{other}'", module.join("::")));
                }
            }
        }
        found
    }
}

fn room_of(module: &[String]) -> Option<&str> {
    module.strip_prefix(["services".to_owned()].as_slice())?.first().map(String::as_str)
}

fn is_one_thing(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn module_of(path: &Path) -> Module {
    let mut names: Module = path.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib")) {
        names.pop();
    }
    names
}

/// The text up to the tests of the file itself.
fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

/// All paths that a text names, those of `use` with their braces opened.
fn paths_in(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        // `pub(in crate::a)` says who may see it, and imports nothing.
        let before = &text[..text.len() - rest.len() + at];
        let goes_on = ["::", ".", "pub(in "].iter().any(|end| before.ends_with(end));
        let length = rest[at..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - at);
        let (word, after) = (&rest[at..at + length], &rest[at + length..]);
        if word == "use" && !goes_on {
            let end = after.find(';').unwrap_or(after.len());
            found.extend(opened(&after[..end]));
            rest = &after[end..];
        } else if !goes_on && after.starts_with("::") {
            let end = after.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(after.len());
            found.push(names(&format!("{word}{}", &after[..end])));
            rest = &after[end..];
        } else {
            rest = after;
        }
    }
    found
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn opened(tree: &str) -> Vec<Vec<String>> {
    let Some((before, within)) = tree.split_once('{') else { return vec![names(tree)] };
    let within = within.rsplit_once('}').map_or(within, |(within, _)| within);
    let (mut depth, mut branches) = (0_usize, vec![String::new()]);
    for c in within.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(branch) = branches.last_mut() {
            branch.push(c);
        }
    }
    let branches = branches.iter().filter(|branch| !branch.trim().is_empty());
    branches.flat_map(|branch| opened(&format!("{before}{branch}"))).collect()
}

fn names(path: &str) -> Vec<String> {
    let path = path.split(" as ").next().unwrap_or_default();
    path.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The module that a path leads into, as seen from `module`; nothing if it is none of this crate.
fn resolve(module: &[String], path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let mut names = path.iter();
    let first = path.first()?.as_str();
    let mut at = match first {
        "crate" | "millrace" => {
            names.next();
            Module::new()
        }
        "self" => {
            names.next();
            module.to_vec()
        }
        "super" => {
            let ups = path.iter().take_while(|name| *name == "super").count();
            names.nth(ups - 1);
            module.get(..module.len().checked_sub(ups)?)?.to_vec()
        }
        child => {
            let below: Module = module.iter().cloned().chain([child.to_owned()]).collect();
            return modules.contains(&below).then_some(below);
        }
    };
    let mut found = modules.contains(&at).then(|| at.clone());
    for name in names {
        at.push(name.clone());
        if modules.contains(&at) {
            found = Some(at.clone());
        }
    }
    found
}

fn of_the_host() -> Imports {
    let files = sources();
    Imports::read(files.iter().filter(|(path, _)| !path.ends_with("tests.rs")).map(|(path, text)| (path.as_path(), text.as_str())))
}

fn of(files: &[(&str, &str)]) -> Imports {
    Imports::read(files.iter().map(|(path, text)| (Path::new(path), *text)))
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = of_the_host().circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn no_files_of_a_part_import_each_other_in_a_circle() {
    // What a module hands on from its own files is no use that it makes of them.
    let used = |text: &str| text.lines().filter(|line| !line.starts_with("pub use self::")).collect::<Vec<_>>().join("\n");
    let files: Vec<_> = sources().into_iter().filter(|(path, _)| WITHOUT_DOORS.contains(&part(path).as_str())).collect();
    let files: Vec<_> = files.into_iter().map(|(path, text)| (path, used(&text))).collect();
    let imports = Imports::read(files.iter().map(|(path, text)| (path.as_path(), text.as_str())));
    assert!(imports.0.values().map(BTreeSet::len).sum::<usize>() > 100, "imports are not found: {:#?}", imports.0);
    let circles = imports.circles_without(|_, _| false);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn rooms_import_only_the_rooms_they_may() {
    let imports = of_the_host();
    let found = imports.trespasses();
    assert!(found.is_empty(), "{found:#?}");
    let rooms: BTreeSet<&str> = imports.0.keys().filter_map(|module| room_of(module)).collect();
    let written: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(rooms, written, "each room has its line in the table");
}

#[test]
fn a_circle_is_found_however_its_imports_are_written() {
    let straight = ("a/two.rs", "use std::fmt;\npub struct Two;");
    for (one, two) in [
        ("use super::two::Two;", "use super::one::One;"),
        ("use crate::a::{three, two::{self, Two}};", "fn f() -> super::one::One { super::one::One }"),
        ("fn f() { crate::a::two::g(); }", "use crate::{a::one::One, b};"),
    ] {
        let files = [("a/mod.rs", "mod one;\nmod two;"), ("a/one.rs", one), ("a/two.rs", two)];
        assert_eq!(of(&files).circles().len(), 1, "{one} {two}");
        assert!(of(&[files[0], files[1], straight]).circles().is_empty(), "{one}");
    }
    let door = [("a/mod.rs", "mod one;\npub use one::One;\npub struct Door;"), ("a/one.rs", "use super::Door;")];
    assert!(of(&door).circles().is_empty(), "a door and what is behind it");
    assert_eq!(of(&door).circles_without(|_, _| false).len(), 1, "where there are no doors, it is a circle");
    let tested =
        [("a/one.rs", "pub struct One;\n#[cfg(test)]\nmod tests {\n    use crate::a::two::Two;\n}"), ("a/two.rs", "use super::one::One;")];
    assert!(of(&tested).circles().is_empty(), "a test may use what is above");
}

#[test]
fn a_room_that_imports_the_wrong_room_is_found() {
    let files =
        [("services/engine/mod.rs", "use crate::services::shop::Cents;"), ("services/shop/mod.rs", ""), ("services/users/mod.rs", "")];
    assert_eq!(of(&files).trespasses(), ["services::engine imports of the room 'shop'"]);
    let files = [
        ("services/resources/view.rs", "use crate::services::{engine::Events, shop};"),
        ("services/engine/mod.rs", ""),
        ("services/shop/mod.rs", ""),
    ];
    assert!(of(&files).trespasses().is_empty());
}
