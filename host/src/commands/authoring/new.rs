//! `millrace new`: a folder with a step in some language that builds, tests and fits this host.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::made;
use crate::commands::printed::printing;
use crate::templates::{self, Language, name};

impl ValueEnum for Language {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).aliases(self.short()).help(self.built()))
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
        if let Err(error) = fill(&folder, new) {
            // It is new: whoever tries again finds nothing in the way.
            let _ = std::fs::remove_dir_all(&folder);
            return Err(error);
        }
        out.done(&format!("{} is made", folder.display()))?;
        let name = &new.name;
        writeln!(
            out,
            "\n  cd {}\n  ./build.sh\n  ./test.sh\n  millrace check {name}.wasm\n  millrace call {name}.wasm --input job.json",
            for_shell(&folder)
        )?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A path as a shell takes it for one word.
fn for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,@%".contains(&byte));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn fill(folder: &Path, new: &New) -> anyhow::Result<()> {
    // Builds that need this program take the one that is in their path, and else this one.
    let program = std::env::current_exe().context("cannot find the program itself, which builds need")?;
    for templates::File { path, text, is_script } in templates::folder(new.lang, &new.name, &program.display().to_string())? {
        let file = folder.join(path);
        if let Some(inside) = file.parent() {
            made::folder(inside).with_context(|| format!("cannot make the folder '{}'", inside.display()))?;
        }
        let written = if is_script { made::program(&file, text.as_bytes()) } else { made::file(&file, text.as_bytes()) };
        written.with_context(|| format!("cannot write '{}'", file.display()))?;
    }
    Ok(())
}
