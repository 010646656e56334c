//! What a config may read of the world around it. The only file that reads the process environment; everybody else is given
//! an [`Environment`], so that a test (or the editor) can say what it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Variables and places, taken once at start.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Variables that `${NAME}` reads.
    pub variables: BTreeMap<String, String>,
    /// What a relative `dsn` is relative to.
    pub working_dir: PathBuf,
    /// Program that compiles components in a child process: the running binary.
    pub program: PathBuf,
}

impl Environment {
    /// The environment of this process. What is not UTF-8 in a variable is U+FFFD, which no setting may have. Where `X_SECRET` is not set or empty and
    /// `X_SECRET_FILE` names a file, it is what that file says. A secret is taken alike from both: see [`cleaned`].
    ///
    /// # Errors
    /// The working directory or the path of the program cannot be found out, or such a file cannot be read.
    pub fn of_process() -> std::io::Result<Self> {
        let mut environment = Self::without_secret_files()?;
        read_secrets(&mut environment.variables)?;
        Ok(environment)
    }

    /// The same for who needs no secret, and may not be allowed to read the files that have them.
    ///
    /// # Errors
    /// The working directory or the path of the program cannot be found out.
    pub fn without_secret_files() -> std::io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let mut variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        clean_secrets(&mut variables);
        let about = |what: &'static str| move |error: std::io::Error| std::io::Error::new(error.kind(), format!("{what}: {error}"));
        let working_dir = std::env::current_dir().map_err(about("the working directory is gone or cannot be entered"))?;
        Ok(Self { variables, working_dir, program: std::env::current_exe().map_err(about("the program's own file cannot be found"))? })
    }

    /// Whether secrets that were made for development are refused.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.variables.get("MILLRACE_ENV").is_some_and(|value| value == "production")
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A secret without what editors, shells and secret stores leave around it: a BOM, line ends, blanks.
fn cleaned(secret: &str) -> &str {
    secret.trim_start_matches('\u{feff}').trim()
}

fn clean_secrets(variables: &mut BTreeMap<String, String>) {
    for (_, value) in variables.iter_mut().filter(|(name, _)| name.ends_with("_SECRET")) {
        if cleaned(value).len() < value.len() {
            *value = cleaned(value).to_owned();
        }
    }
}

/// Secrets as container platforms hand them out: as files.
fn read_secrets(variables: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    let given = |name: &str, variables: &BTreeMap<String, String>| variables.get(name).is_some_and(|value| !value.is_empty());
    let files: Vec<(String, String)> = variables
        .iter()
        .filter_map(|(name, file)| Some((name.strip_suffix("_FILE").filter(|secret| secret.ends_with("_SECRET"))?, file)))
        .filter(|(secret, file)| !file.is_empty() && !given(secret, variables))
        .map(|(secret, file)| (secret.to_owned(), file.clone()))
        .collect();
    for (secret, file) in files {
        let text = text_of(&file)
            .map_err(|error| std::io::Error::new(error.kind(), format!("{secret}_FILE names {file}, which cannot be read: {error}")))?;
        variables.insert(secret, cleaned(&text).to_owned());
    }
    Ok(())
}

fn text_of(file: &str) -> std::io::Result<String> {
    let bytes = std::fs::read(file)?;
    let invalid = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(invalid("it is UTF-16, as PowerShell writes files; save it as UTF-8"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text; a secret is text, for example of: openssl rand -base64 48"))
}

// Values may be secrets, so only the names are shown.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.variables.keys().map(String::as_str).collect();
        f.debug_struct("Environment")
            .field("variables", &names)
            .field("working_dir", &self.working_dir)
            .field("program", &self.program)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_whatever_is_left_around_it_in_a_variable_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret").display().to_string();
        for text in ["one two", "one two\n", "one two\r\n", "\u{feff}one two\r\n", " \tone two \n\n"] {
            std::fs::write(&file, text).unwrap();
            let mut read: BTreeMap<String, String> =
                [("A_SECRET", text), ("B_SECRET_FILE", file.as_str()), ("OTHER", text)].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            clean_secrets(&mut read);
            read_secrets(&mut read).unwrap();
            assert_eq!((read["A_SECRET"].as_str(), read["B_SECRET"].as_str()), ("one two", "one two"), "{text:?}");
            assert_eq!(read["OTHER"], text, "only secrets are touched");
        }
    }

    #[test]
    fn a_secret_may_be_in_a_file_unless_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret").display().to_string();
        std::fs::write(&file, "from the file\n").unwrap();
        let variables = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut read: BTreeMap<String, String> = variables(&[
            ("A_SECRET_FILE", &file),
            ("B_SECRET", ""),
            ("B_SECRET_FILE", &file),
            ("C_SECRET", "given"),
            ("C_SECRET_FILE", &file),
            ("OTHER_FILE", &file),
        ]);
        read_secrets(&mut read).unwrap();
        assert_eq!(
            (read["A_SECRET"].as_str(), read["B_SECRET"].as_str(), read["C_SECRET"].as_str()),
            ("from the file", "from the file", "given")
        );
        assert!(!read.contains_key("OTHER"));

        let error = read_secrets(&mut variables(&[("A_SECRET_FILE", "/nowhere/secret")])).unwrap_err().to_string();
        assert!(error.contains("A_SECRET_FILE names /nowhere/secret"), "{error}");
        std::fs::write(&file, b"\xff\xfes\0e\0").unwrap();
        let error = read_secrets(&mut variables(&[("A_SECRET_FILE", &file)])).unwrap_err().to_string();
        assert!(error.contains("A_SECRET_FILE") && error.contains("UTF-16"), "{error}");
    }
}
