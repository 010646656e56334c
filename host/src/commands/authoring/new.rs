//! `millrace new`: a folder with a step in some language that builds, tests and fits this host.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use wit_bindgen_core::Files;

use super::contract::Contract;
use super::templates::{self, File};
use super::{bindings, made, wit};
use crate::commands::printed::printing;

/// Characters of a name.
const MAX_NAME: usize = 40;
/// The world that the template of Rust implements.
const RUST_WORLD: &str = "step@0.2";
/// Words that Rust or cargo do not take as the name of a package.
const RESERVED: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern false final fn for gen if \
    impl in let loop macro match mod move mut override priv proc-macro pub ref return self static std struct super test trait true try type \
    typeof unsafe unsized use virtual where while yield";

/// The languages that there are templates for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// By cargo.
    Rust,
    /// With QuickJS, by componentize-qjs.
    #[value(alias = "js")]
    Javascript,
    /// The same, checked by tsc.
    #[value(alias = "ts")]
    Typescript,
    /// With `CPython`, by componentize-py.
    #[value(alias = "py")]
    Python,
    /// By Go's own compiler.
    Go,
    /// By zig, which is clang with a library of C.
    C,
}

impl Language {
    /// The version of the contract that its template is built for.
    fn contract(self) -> wit::Version {
        match self {
            Self::Rust => wit::Version::Second,
            Self::Javascript | Self::Typescript | Self::Python | Self::Go | Self::C => wit::Version::First,
        }
    }

    fn files(self) -> &'static [File] {
        match self {
            Self::Rust => templates::RUST,
            Self::Javascript => templates::JAVASCRIPT,
            Self::Typescript => templates::TYPESCRIPT,
            Self::Python => templates::PYTHON,
            Self::Go => templates::GO,
            Self::C => templates::C,
        }
    }
}

/// `millrace new`.
#[derive(Debug, clap::Args)]
pub struct New {
    /// What it is called: lower-case letters, digits and hyphens. The folder has this name.
    #[arg(value_parser = name)]
    name: String,
    /// The language.
    #[arg(long, value_enum)]
    lang: Language,
    /// Where the folder is made.
    #[arg(long = "in", default_value = ".", value_name = "FOLDER")]
    parent: PathBuf,
}

/// A name that every language's tools take.
pub(super) fn name(text: &str) -> Result<String, String> {
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

/// Makes the folder.
#[must_use]
pub fn run(new: &New) -> ExitCode {
    printing(|out| {
        let folder = new.parent.join(&new.name);
        if let Err(error) = made::new_folder(&folder) {
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    bail!("'{}' is there already, and is left as it is: choose another name", folder.display())
                }
                _ => bail!("cannot make the folder '{}': {error}", folder.display()),
            }
        }
        fill(&folder, new)?;
        out.done(&format!("{} is made", folder.display()))?;
        let name = &new.name;
        writeln!(
            out,
            "\n  cd {}\n  ./build.sh\n  ./test.sh\n  millrace check {name}.wasm\n  millrace call {name}.wasm --input job.json",
            folder.display()
        )?;
        Ok(ExitCode::SUCCESS)
    })
}

fn fill(folder: &Path, new: &New) -> anyhow::Result<()> {
    wit::write(&folder.join("wit"), new.lang.contract())?;
    if new.lang == Language::Rust {
        // Here rather than by a macro of the step: its first build would wait for all that the macro is made of.
        let contract = Contract::of_this_host(RUST_WORLD).read()?;
        bindings::write(bindings::rust(), contract, Files::default(), &folder.join(bindings::FOLDER))?;
    }
    // Builds that need this program take the one that is in their path, and else this one.
    let program = std::env::current_exe().context("cannot find the program itself, which builds need")?;
    let program = program.display().to_string().replace('\'', r"'\''");
    for (path, text) in new.lang.files().iter().chain(templates::COMMON) {
        let file = folder.join(placed(path));
        if let Some(inside) = file.parent() {
            made::folder(inside).with_context(|| format!("cannot make the folder '{}'", inside.display()))?;
        }
        let text = text.replace("{{name}}", &new.name).replace("{{module}}", &new.name.replace('-', "_")).replace("{{millrace}}", &program);
        let written = if path.ends_with(".sh") { made::program(&file, text.as_bytes()) } else { made::file(&file, text.as_bytes()) };
        written.with_context(|| format!("cannot write '{}'", file.display()))?;
    }
    Ok(())
}

/// Where a file of a template belongs: some have another name in the repository, so that no tool takes them for its own.
fn placed(path: &str) -> PathBuf {
    match path {
        "gitignore" => ".gitignore".into(),
        _ => path.strip_suffix(".in").unwrap_or(path).into(),
    }
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
}
