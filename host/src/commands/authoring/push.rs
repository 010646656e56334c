//! `millrace push`: a component for a registry, from where hosts take it by its digest.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, ensure};

use super::keys::signature_of;
use crate::commands::one_worker;
use crate::commands::printed::printing;
use crate::config::Environment;
use crate::proxies;
use crate::runtime::{Access, CODE_EXTENSION, Login, Push as Pushed, is_here, is_registry, is_repository};

/// `millrace push`.
#[derive(Debug, clap::Args)]
pub struct Push {
    /// The component; its signature is taken along if it lies beside it.
    file: PathBuf,
    /// Where to, `oci://registry.example/repository` or `oci://registry.example/repository:tag`.
    to: String,
    /// Take its compiled code along too, which `millrace compile` has written beside it.
    #[arg(long)]
    with_compiled: bool,
    /// Name to log in with; nobody logs in if not given.
    #[arg(long, env = "MILLRACE_REGISTRY_USERNAME")]
    username: Option<String>,
    /// Password or token to log in with; better given by the variable, since others can see what a program was started with.
    #[arg(long, env = "MILLRACE_REGISTRY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Talk to the registry without TLS. One on this machine is talked to without it anyway.
    #[arg(long)]
    insecure: bool,
}

/// Pushes, and prints what to pin.
#[must_use]
pub fn run(push: &Push) -> ExitCode {
    printing(|out| {
        let pushed = push.what()?;
        let artifact = one_worker()?.block_on(pushed.push()).map_err(|reason| anyhow!("'{}' {reason}", push.to))?;
        writeln!(out, "{artifact}")?;
        Ok(ExitCode::SUCCESS)
    })
}

impl Push {
    fn what(&self) -> anyhow::Result<Pushed> {
        let path = self.file.display();
        let (registry, repository, tag) = place(&self.to)?;
        let component = fs::read(&self.file).with_context(|| format!("cannot read '{path}'"))?;
        let code = if self.with_compiled {
            let code = self.file.with_extension(CODE_EXTENSION);
            Some(fs::read(&code).with_context(|| format!("cannot read '{}': make it with `millrace compile`", code.display()))?.into())
        } else {
            None
        };
        ensure!(self.username.is_some() == self.password.is_some(), "to log in, give a name and a password (MILLRACE_REGISTRY_PASSWORD)");
        let plain = self.insecure || is_here(&registry);
        let scheme = if plain { "http" } else { "https" };
        let proxy = proxies::used_for(&Environment::without_secret_files()?.variables, &format!("{scheme}://{registry}/v2/"));
        let login = self.username.clone().zip(self.password.clone()).map(|(username, password)| Login { username, password });
        Ok(Pushed {
            access: Access { login, plain, proxy },
            registry,
            repository,
            tag,
            title: self.file.file_name().context("the component has no name")?.to_string_lossy().into_owned(),
            component: component.into(),
            signature: signature_of(&self.file)?,
            code,
        })
    }
}

/// The registry, the repository and the tag that a place is named by.
fn place(text: &str) -> anyhow::Result<(String, String, String)> {
    let wrong = || {
        anyhow!("'{text}' is no place in a registry: expected oci://registry.example/repository or oci://registry.example/repository:tag")
    };
    let (registry, rest) = text.strip_prefix("oci://").and_then(|name| name.split_once('/')).ok_or_else(wrong)?;
    let (repository, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
    let is_tag = |tag: &str| {
        tag.len() <= 128
            && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    ensure!(!rest.contains('@'), "'{text}' has a digest, which follows from what is pushed: leave it out");
    if is_registry(registry) && is_repository(repository) && is_tag(tag) {
        Ok((registry.to_owned(), repository.to_owned(), tag.to_owned()))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_registry_a_repository_and_a_tag() {
        let all = |text: &str| place(text).map(|(registry, repository, tag)| format!("{registry} {repository} {tag}"));
        assert_eq!(all("oci://ghcr.io/acme/fraud").unwrap(), "ghcr.io acme/fraud latest");
        assert_eq!(all("oci://localhost:5000/fraud:1.2").unwrap(), "localhost:5000 fraud 1.2");
        for wrong in [
            "ghcr.io/acme/fraud",
            "oci://ghcr.io",
            "oci://acme/fraud",
            "oci://ghcr.io/Acme",
            "oci://ghcr.io/a/../b",
            "oci://ghcr.io/a:",
            "oci://ghcr.io/a@sha256:0",
        ] {
            assert!(all(wrong).is_err(), "{wrong}");
        }
    }
}
