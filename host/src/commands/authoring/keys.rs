//! `millrace keygen`, `sign` and `verify`: who vouches for a component.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, ensure};

use super::subject::read;
use crate::commands::printed::printing;
use crate::durable::{self, beside};
use crate::runtime::{MAX_SIGNATURE_BYTES, PublicKey, SIGNATURE_ENDING, SecretKey, digest, signed_by};

/// `millrace keygen`.
#[derive(Debug, clap::Args)]
pub struct Keygen {
    /// Where the key goes: `<name>.key` is the private one, which only you can read, and `<name>.pub` the public one.
    #[arg(default_value = "millrace")]
    name: PathBuf,
}

/// `millrace sign`.
#[derive(Debug, clap::Args)]
pub struct Sign {
    /// The component.
    file: PathBuf,
    /// The private key, a file of `millrace keygen` or of `openssl genpkey -algorithm ed25519`.
    #[arg(long)]
    key: PathBuf,
}

/// `millrace verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The component; its signature is beside it.
    file: PathBuf,
    /// A public key: a file of PEM, or base64. May be given again: one of them has to have signed.
    #[arg(long, required = true)]
    key: Vec<String>,
}

/// Makes a key pair.
#[must_use]
pub fn keygen(keygen: &Keygen) -> ExitCode {
    printing(|out| {
        let (private, public) = (beside(&keygen.name, ".key"), beside(&keygen.name, ".pub"));
        let key = SecretKey::generate().map_err(|reason| anyhow!("a key {reason}"))?;
        let pem = key.pem().map_err(|reason| anyhow!("the key {reason}"))?;
        // A key that is lost cannot be made again.
        for path in [&private, &public] {
            ensure!(!path.exists(), "'{}' is there already: give the new key another name", path.display());
        }
        for (path, text) in [(&private, pem), (&public, key.public().pem())] {
            durable::write_new(path, &[text.as_bytes()]).with_context(|| format!("cannot write '{}'", path.display()))?;
        }
        fs::set_permissions(&public, Permissions::from_mode(0o644))
            .with_context(|| format!("cannot open '{}' to others", public.display()))?;
        writeln!(out, "key {}", key.public().id())?;
        writeln!(out, "private  {} (it signs: keep it to yourself)", private.display())?;
        writeln!(out, "public   {}", public.display())?;
        writeln!(out, "\nin the config of a component:\n\nsignatures:\n  keys: [\"{}\"]", key.public().base64())?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Signs a file.
#[must_use]
pub fn sign(sign: &Sign) -> ExitCode {
    printing(|out| {
        let (signature, key) = sign_file(&sign.file, &sign.key)?;
        out.done(&format!("{} is signed with the key {}: {}", sign.file.display(), key.id(), signature.display()))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Says whether a file is signed.
#[must_use]
pub fn verify(verify: &Verify) -> ExitCode {
    printing(|out| {
        let keys = verify.key.iter().map(|key| public_key(key)).collect::<anyhow::Result<Vec<PublicKey>>>()?;
        let digest = digest_of(&verify.file)?;
        match signed_by(&keys, &digest, signature_of(&verify.file)?.as_deref()) {
            Ok(key) => {
                writeln!(out, "signed with the key {}: sha256:{digest}", key.id())?;
                Ok(ExitCode::SUCCESS)
            }
            Err(reason) => {
                writeln!(out, "refused: '{}' {reason}", verify.file.display())?;
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

/// Signs a file, and gives the file of the signature and the key.
pub(super) fn sign_file(file: &Path, key: &Path) -> anyhow::Result<(PathBuf, PublicKey)> {
    let key = secret_key(key)?;
    let signature = beside(file, SIGNATURE_ENDING);
    let text = key.sign(&digest_of(file)?);
    write_along(&signature, text.as_bytes(), file)?;
    Ok((signature, key.public()))
}

/// Writes what goes along with a component: whoever may read that may read this.
pub(super) fn write_along(path: &Path, content: &[u8], component: &Path) -> anyhow::Result<()> {
    let written = durable::write(path, &[content], durable::Sync::No).and_then(|()| fs::metadata(component));
    let written = written.and_then(|metadata| fs::set_permissions(path, metadata.permissions()));
    written.with_context(|| format!("cannot write '{}'", path.display()))
}

/// A private key from its file.
pub(super) fn secret_key(path: &Path) -> anyhow::Result<SecretKey> {
    SecretKey::read(&read("the private key", path)?).map_err(|reason| anyhow!("'{}' {reason}", path.display()))
}

/// A public key from its file, or as it is written.
fn public_key(text: &str) -> anyhow::Result<PublicKey> {
    if let Ok(key) = PublicKey::read(text) {
        return Ok(key);
    }
    PublicKey::read(&read("the public key", Path::new(text))?).map_err(|reason| anyhow!("'{text}' {reason}"))
}

/// The text of the signature beside a file, if there is one.
///
/// # Errors
/// It cannot be read, or is too long for one.
pub(in crate::commands) fn signature_of(file: &Path) -> anyhow::Result<Option<String>> {
    let path = beside(file, SIGNATURE_ENDING);
    match fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow!(error).context(format!("cannot read '{}'", path.display()))),
        Ok(metadata) => {
            ensure!(metadata.len() <= MAX_SIGNATURE_BYTES as u64, "'{}' has {} bytes: it is no signature", path.display(), metadata.len());
        }
    }
    read("the signature", &path).map(Some)
}

fn digest_of(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read '{}'", file.display()))?;
    Ok(digest(&bytes))
}
