//! `millrace bindings`: the contract in the types of a language whose own tools do not make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use wit_bindgen_core::Files;

use super::contract::Contract;
use super::made;
use crate::commands::printed::printing;
use crate::templates;

/// Where the packages are put that bindings for Go need.
const GO_PACKAGES: &str = "pkg";

/// The languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    /// Packages of a module.
    Go,
    /// A header, a source, and an object file that names the world.
    C,
    /// A module, for the crate `wit-bindgen` of the version that its first line names, without macros.
    Rust,
}

/// `millrace bindings`.
#[derive(Debug, clap::Args)]
pub struct Bindings {
    /// The language.
    #[arg(value_enum)]
    lang: Language,
    #[command(flatten)]
    contract: Contract,
    /// Folder to write them into, which is made if it is not there.
    #[arg(long, default_value = templates::BINDINGS, value_name = "FOLDER")]
    out: PathBuf,
    /// Module of Go, as its `go.mod` names it, whose folder has the folder of the bindings in it.
    #[arg(long, required_if_eq("lang", "go"))]
    module: Option<String>,
}

/// Makes them.
#[must_use]
pub fn run(bindings: &Bindings) -> ExitCode {
    printing(|out| {
        let contract = bindings.contract.read()?;
        let mut files = Files::default();
        let generator = match bindings.lang {
            Language::Go => {
                let module = bindings.module.clone().context("bindings for Go need the name of the module: --module")?;
                let Some(folder) = bindings.out.file_name().and_then(|name| name.to_str()) else {
                    bail!("'{}' is no name of a folder of a module", bindings.out.display())
                };
                for (path, text) in templates::GO_PACKAGES {
                    files.push(&format!("{GO_PACKAGES}/{path}"), text.as_bytes());
                }
                wit_bindgen_go::Opts {
                    // What formats is another program, and nobody reads them to change them.
                    format: wit_bindgen_go::Format::False,
                    pkg_name: Some(format!("{module}/{folder}")),
                    export_pkg_name: Some(module),
                    ..wit_bindgen_go::Opts::default()
                }
                .build()
            }
            Language::C => wit_bindgen_c::Opts::default().build(),
            Language::Rust => templates::rust_bindings(),
        };
        let made = templates::generated(generator, contract)?;
        made.iter().chain(files.iter()).try_for_each(|(path, text)| put(&bindings.out.join(path), text))?;
        out.done(&format!("{} has the bindings", bindings.out.display()))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes a file unless it is there like this: who watches the folder sees no change then.
fn put(file: &Path, text: &[u8]) -> anyhow::Result<()> {
    if fs::read(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        made::folder(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    }
    made::file(file, text).with_context(|| format!("cannot write '{}'", file.display()))
}
