//! What a config may read of the world around it. The only file that reads the process environment; everybody else is given
//! an [`Environment`], so that a test (or the editor) can say what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a variable says that chooses a fault, in a program that was built to have some.
#[cfg(any(feature = "planted-bugs", feature = "crash-points"))]
pub(crate) fn fault(variable: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    std::env::var(variable).ok()
}

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

    /// The same for a text that somebody else has written, who is told what it says and may not learn what is secret: variables in `named` are read
    /// unless their names or values look like those of secrets, and others only where they are a number, a time or a flag. What is hidden is as
    /// long as it was, so that it is judged as it would be.
    #[must_use]
    pub fn without_secrets(&self, named: &BTreeSet<String>, secret: &BTreeSet<String>) -> Self {
        let shown = |name: &str, value: &str| {
            is_plain(value) || name == "MILLRACE_ENV" || (named.contains(name) && !is_secret(name) && !is_address_with_more(value))
        };
        let variables = self.variables.iter().map(|(name, value)| {
            let value = if shown(name, value) && !secret.contains(name) { value.clone() } else { hidden(value) };
            (name.clone(), value)
        });
        Self { variables: variables.collect(), ..self.clone() }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// As long as `value`, and as good a secret as any.
fn hidden(value: &str) -> String {
    // What kind of address it is says nothing, and decides whether it can be one.
    if let Some((scheme, rest)) = value.split_once("://") {
        return format!("{scheme}://{}", hidden(rest));
    }
    "hidden-3b7k9qxz5wv2mtrp4n8g6c1fyj".chars().cycle().take(value.chars().count()).collect()
}

/// Whether a value is an address that may have a password in it.
fn is_address_with_more(value: &str) -> bool {
    value.contains('@') || value.starts_with("postgres")
}

/// Whether a variable of this name holds something that nobody is to see.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "TOKEN", "PASS", "KEY", "CREDENTIAL", "PRIVATE", "_PW", "_PIN"].iter().any(|word| name.contains(word))
}

/// A number, a time such as `15s`, or a flag: no secret is as short.
fn is_plain(value: &str) -> bool {
    let number = value.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    matches!(value, "true" | "false" | "") || (value.len() <= 8 && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
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
    fn whoever_has_a_text_judged_learns_no_secret_and_everything_else() {
        let given = [
            ("JWT_SECRET", "of this process"),
            ("LISTEN", "127.0.0.1:80"),
            ("BROKERS", "user:word@kafka:9092"),
            ("PATH", "/usr/bin"),
            ("LIMIT", "300"),
            ("PAUSE", "15s"),
            ("HEADER", "in a header"),
        ];
        let variables = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let named = names(&["JWT_SECRET", "LISTEN", "BROKERS", "HEADER"]);
        let seen = Environment { variables, ..Environment::default() }.without_secrets(&named, &names(&["HEADER"])).variables;
        let shown: Vec<&str> = given.iter().filter(|(name, value)| seen[*name] == *value).map(|(name, _)| *name).collect();
        assert_eq!(shown, ["LISTEN", "LIMIT", "PAUSE"]);
        assert_eq!(seen["JWT_SECRET"], "hidden-3b7k9qxz", "as long as it is");
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
