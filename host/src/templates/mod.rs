//! What a new component begins with: the files of a folder that builds, tests and fits this host, in some language, and the contract that they
//! are made for.

mod files;

use anyhow::Context as _;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_parser::{Resolve, WorldId};

pub use files::GO_PACKAGES;

/// The folder that has bindings.
pub const BINDINGS: &str = "bindings";
/// The world that a step implements.
const WORLD: &str = "step";

/// Characters of a name.
const MAX_NAME: usize = 40;
/// Words that Rust or cargo do not take as the name of a package.
const RESERVED: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern false final fn for gen if \
    impl in let loop macro match mod move mut override priv proc-macro pub ref return self static std struct super test trait true try type \
    typeof unsafe unsized use virtual where while yield";
/// The contract's file, as every tool that makes bindings reads it.
pub const CONTRACT: &str = "step.wit";

/// A version of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 0.1
    First,
    /// 0.2
    Second,
}

impl Version {
    /// What is in its file.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::First => include_str!("../../../wit/step.wit"),
            Self::Second => include_str!("../../../wit/0.2/step.wit"),
        }
    }
}

/// The languages that there are templates for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust.
    Rust,
    /// JavaScript.
    Javascript,
    /// TypeScript.
    Typescript,
    /// Python.
    Python,
    /// Go.
    Go,
    /// C.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rust, Self::Javascript, Self::Typescript, Self::Python, Self::Go, Self::C];

    /// As people name it to a program: `rust`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
        }
    }

    /// The short form of its name, where it has one.
    #[must_use]
    pub fn short(self) -> Option<&'static str> {
        match self {
            Self::Javascript => Some("js"),
            Self::Typescript => Some("ts"),
            Self::Python => Some("py"),
            Self::Rust | Self::Go | Self::C => None,
        }
    }

    /// What makes a component of it, in a few words.
    #[must_use]
    pub fn built(self) -> &'static str {
        match self {
            Self::Rust => "By cargo",
            Self::Javascript => "With QuickJS, by componentize-qjs",
            Self::Typescript => "The same, checked by tsc",
            Self::Python => "With `CPython`, by componentize-py",
            Self::Go => "By Go's own compiler",
            Self::C => "By zig, which is clang with a library of C",
        }
    }

    /// The one of this name, or of this short form.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name() == text || language.short() == Some(text))
    }

    /// The version of the contract that its template is built for.
    fn contract(self) -> Version {
        match self {
            Self::Rust => Version::Second,
            Self::Javascript | Self::Typescript | Self::Python | Self::Go | Self::C => Version::First,
        }
    }

    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => files::RUST,
            Self::Javascript => files::JAVASCRIPT,
            Self::Typescript => files::TYPESCRIPT,
            Self::Python => files::PYTHON,
            Self::Go => files::GO,
            Self::C => files::C,
        }
    }

    /// What it shares with others.
    fn shared(self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        let fetches = match self {
            Self::Python | Self::C => files::PIP,
            Self::Javascript | Self::Typescript => files::NPM,
            Self::Rust | Self::Go => &[],
        };
        files::COMMON.iter().chain(fetches)
    }
}

/// A file of a new component's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the folder, with slashes.
    pub path: String,
    /// What is in it.
    pub text: String,
    /// It is a script that can be run.
    pub is_script: bool,
}

/// The files of a component of this [name], by path. `program` is the `millrace` that builds take where none is in their path.
///
/// # Errors
/// No bindings can be made of the contract.
pub fn folder(language: Language, name: &str, program: &str) -> anyhow::Result<Vec<File>> {
    // It stands between single quotes of a shell.
    let program = program.replace('\'', r"'\''");
    let filled =
        |text: &str| text.replace("{{name}}", name).replace("{{module}}", &name.replace('-', "_")).replace("{{millrace}}", &program);
    let written = language.files().iter().chain(language.shared());
    let written = written.map(|(path, text)| File { path: placed(path).to_owned(), text: filled(text), is_script: path.ends_with(".sh") });
    let contract = File { path: format!("wit/{CONTRACT}"), text: language.contract().text().to_owned(), is_script: false };
    let mut all: Vec<File> = written.chain([contract]).collect();
    if language == Language::Rust {
        // Here rather than by a macro of the step: its first build would wait for all that the macro is made of.
        all.extend(bindings(language.contract())?);
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(all)
}

/// What makes bindings for Rust.
#[must_use]
pub fn rust_bindings() -> Box<dyn WorldGenerator> {
    // Formatted: an author looks up there what the contract has.
    Box::new(wit_bindgen_rust::Opts { format: true, ..wit_bindgen_rust::Opts::default() }.build())
}

/// The bindings of a world.
///
/// # Errors
/// The world has something that the language has not.
pub fn generated(mut generator: Box<dyn WorldGenerator>, (mut resolve, world): (Resolve, WorldId)) -> anyhow::Result<Files> {
    let mut made = Files::default();
    generator.generate(&mut resolve, world, &mut made).context("no bindings can be made")?;
    Ok(made)
}

fn bindings(contract: Version) -> anyhow::Result<Vec<File>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str(CONTRACT, contract.text())?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let made = generated(rust_bindings(), (resolve, world))?;
    let file = |(path, text): (&str, &[u8])| {
        let text = String::from_utf8(text.to_vec()).with_context(|| format!("the bindings in {path} are no text"))?;
        Ok(File { path: format!("{BINDINGS}/{path}"), text, is_script: false })
    };
    made.iter().map(file).collect()
}

/// Where a file of a template belongs: some have another name in the repository, so that no tool takes them for its own.
fn placed(path: &str) -> &str {
    match path {
        "gitignore" => ".gitignore",
        _ => path.strip_suffix(".in").unwrap_or(path),
    }
}

/// A name that every language's tools take.
///
/// # Errors
/// What a name is, or why this one is none.
pub fn name(text: &str) -> Result<String, String> {
    let accepted = format!(
        "a name has 1 to {MAX_NAME} lower-case letters, digits and single hyphens between them, and begins with a letter, for example fraud-check"
    );
    let is_made_of = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let begins = text.starts_with(|character: char| character.is_ascii_lowercase());
    if !begins || !is_made_of || text.ends_with('-') || text.contains("--") || text.len() > MAX_NAME {
        return Err(accepted);
    }
    if RESERVED.split_whitespace().any(|word| word == text) {
        return Err(format!(
            "'{text}' is a word of Rust or cargo, which take no package of that name: choose another one, for example {text}-check"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_all_tools_take() {
        for good in ["fraud", "fraud-check", "a1", "x"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in [
            "",
            "Fraud",
            "1fraud",
            "-fraud",
            "fraud-",
            "fraud--check",
            "fraud_check",
            "fraud check",
            "../fraud",
            "/tmp/fraud",
            "früh",
            &long,
        ] {
            assert!(name(bad).is_err_and(|told| told.contains("for example fraud-check")), "{bad}");
        }
        assert!(name("match").is_err_and(|told| told.contains("'match'")));
    }

    #[test]
    fn a_folder_has_the_contract_its_name_everywhere_and_scripts_that_run() {
        for language in Language::ALL {
            let files = folder(language, "fraud-check", "it's/millrace").unwrap();
            let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            for path in ["README.md", "build.sh", "test.sh", ".gitignore", "job.json", "wit/step.wit"] {
                assert!(paths.contains(&path), "{language:?}: {paths:?}");
            }
            assert_eq!(
                paths.contains(&"tools.sh"),
                paths.contains(&"requirements.txt"),
                "{language:?} fetches by pip what it names, or nothing"
            );
            let read_me = &files.iter().find(|file| file.path == "README.md").unwrap().text;
            assert!(read_me.starts_with("# fraud-check"), "{read_me}");
            for File { path, text, is_script } in files.iter().filter(|file| !file.path.starts_with(BINDINGS)) {
                assert!(!text.contains("{{"), "{language:?}: {path}");
                assert_eq!(*is_script, path.ends_with(".sh"), "{path}");
                assert!(!text.contains("it's/"), "{path} has a quote that ends another");
            }
            assert_eq!(Language::named(language.name()), Some(language));
            assert!(language.short().is_none_or(|short| Language::named(short) == Some(language)));
        }
        assert_eq!(Language::named("cobol"), None);
    }

    #[test]
    fn a_step_in_rust_is_built_with_the_crate_that_its_bindings_are_made_for() {
        let files = folder(Language::Rust, "fraud-check", "millrace").unwrap();
        let text = |path: &str| files.iter().find(|file| file.path == path).unwrap().text.as_str();
        let made = text("bindings/step.rs");
        let version = made.strip_prefix("// Generated by `wit-bindgen` ").and_then(|rest| rest.split_once(". DO NOT EDIT!")).unwrap().0;
        let manifest = text("Cargo.toml");
        assert!(manifest.contains(&format!("wit-bindgen = {{ version = \"={version}\"")), "not {version}: {manifest}");
    }
}
