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
    /// The environment of this process. Variables that are not UTF-8 are left out.
    ///
    /// # Errors
    /// The working directory or the path of the program cannot be found out.
    pub fn of_process() -> std::io::Result<Self> {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        Ok(Self { variables, working_dir: std::env::current_dir()?, program: std::env::current_exe()? })
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
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
