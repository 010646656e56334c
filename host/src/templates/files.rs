//! The files of the templates, as they are in `authoring/templates/`. A test says so.

/// A file: its path in its folder, and its text.
type Written = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../authoring/templates/", $folder, "/", $path)))),+]
    };
}

/// Of every language.
pub(super) const COMMON: &[Written] = files!("common": "job.json");
/// Of languages whose tools come by pip.
pub(super) const PIP: &[Written] = files!("pip": "tools.sh");
/// Of languages whose tools come by npm.
pub(super) const NPM: &[Written] = files!("npm": "install.sh");
/// C.
pub(super) const C: &[Written] =
    files!("c": "README.md", "build.sh", "gitignore", "requirements.txt", "rule.c", "rule.h", "rule_test.c", "step.c", "test.sh");
/// Go.
pub(super) const GO: &[Written] = files!("go": "README.md", "build.sh", "export_wit_world/step.go", "gitignore", "go.mod.in", "main.go", "rule/rule.go", "rule/rule_test.go", "test.sh");
/// JavaScript.
pub(super) const JAVASCRIPT: &[Written] = files!("javascript": "README.md", "build.sh", "gitignore", "package.json", "src/rule.js", "src/rule.test.js", "src/step.js", "src/world.js", "test.sh");
/// Python.
pub(super) const PYTHON: &[Written] =
    files!("python": "README.md", "app.py", "build.sh", "gitignore", "requirements.txt", "rule.py", "test.sh", "test_rule.py");
/// Rust.
pub(super) const RUST: &[Written] =
    files!("rust": "Cargo.toml.in", "README.md", "build.sh", "gitignore", "src/lib.rs", "src/rule.rs", "test.sh");
/// TypeScript.
pub(super) const TYPESCRIPT: &[Written] = files!("typescript": "README.md", "build.sh", "gitignore", "package.json", "src/millrace.d.ts", "src/rule.test.ts", "src/rule.ts", "src/step.ts", "src/world.ts", "test.sh", "tsconfig.json");

/// What bindings for Go need beside themselves: the module `go.bytecodealliance.org/pkg`.
pub const GO_PACKAGES: &[Written] = &[
    ("go.mod", include_str!("../../../authoring/go/go.mod")),
    ("wit/runtime/runtime.go", include_str!("../../../authoring/go/runtime/runtime.go")),
    ("wit/types/types.go", include_str!("../../../authoring/go/types/types.go")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_file_of_a_template_is_in_the_program() {
        let templates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../authoring/templates");
        let mut there = BTreeSet::new();
        let mut folders = vec![templates.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    there.insert(path.strip_prefix(&templates).unwrap().to_owned());
                }
            }
        }
        let lists = [
            ("c", C),
            ("common", COMMON),
            ("go", GO),
            ("javascript", JAVASCRIPT),
            ("npm", NPM),
            ("pip", PIP),
            ("python", PYTHON),
            ("rust", RUST),
            ("typescript", TYPESCRIPT),
        ];
        let listed: BTreeSet<PathBuf> =
            lists.iter().flat_map(|(folder, files)| files.iter().map(|(path, _)| Path::new(folder).join(path))).collect();
        assert_eq!(listed, there);
    }
}
