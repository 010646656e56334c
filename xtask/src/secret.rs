//! The secret that signs tokens on a developer's machine: made once, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};

/// Random bytes of a secret; it is kept as twice as many hex digits.
const BYTES: usize = 32;

/// The secret in `file`, made if there is none yet.
pub fn load_or_create(file: &Path) -> anyhow::Result<String> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(opened) => create(opened).with_context(|| format!("the development secret {} cannot be written", file.display())),
        Err(problem) if problem.kind() == ErrorKind::AlreadyExists => load(file),
        Err(problem) => Err(problem).with_context(|| format!("the development secret {} cannot be created", file.display())),
    }
}

fn create(mut file: File) -> anyhow::Result<String> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    file.write_all(secret.as_bytes())?;
    Ok(secret)
}

fn load(file: &Path) -> anyhow::Result<String> {
    let secret = fs::read_to_string(file).with_context(|| format!("the development secret {} cannot be read", file.display()))?;
    if secret.trim().len() < BYTES {
        bail!("the development secret {} is shorter than {BYTES} bytes; delete it, and a new one is made", file.display());
    }
    Ok(secret.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("millrace-xtask-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_secret_is_made_once_and_belongs_to_its_owner() {
        let folder = folder("secret");
        let file = folder.join("dev-secret");
        let secret = load_or_create(&file).expect("a new secret");
        assert_eq!(secret.len(), 2 * BYTES);
        assert_eq!(load_or_create(&file).expect("the same secret"), secret);
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(folder).expect("tidied up");
    }

    #[test]
    fn a_secret_that_is_too_short_is_refused_by_name() {
        let folder = folder("short");
        let file = folder.join("dev-secret");
        fs::write(&file, "short").expect("a file");
        let problem = load_or_create(&file).expect_err("too short").to_string();
        assert!(problem.contains("dev-secret") && problem.contains("32 bytes"), "{problem}");
        fs::remove_dir_all(folder).expect("tidied up");
    }
}
