//! A PostgreSQL server of a test program's own, in a folder of its own. It ends with whoever has started it, however that ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether what is committed has to be on the disk: a server that nobody takes the power from need not wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    Synced,
    Fast,
}

/// Starts the server in a new folder, tells the folder, and stops it when nobody holds its input any more.
const RUN: &str = r#"
set -e
folder=$(mktemp -d "${TMPDIR:-/tmp}/millrace-postgres.XXXXXX")
trap 'rm -rf "$folder"' EXIT
"$1/initdb" --pgdata="$folder/data" --username=millrace --auth=trust --encoding=UTF8 --locale=C --no-sync > "$folder/initdb.log"
"$1/pg_ctl" --pgdata="$folder/data" --log="$folder/log" --wait --timeout=120 --options="-k $folder -c listen_addresses='' $2" start > "$folder/start.log" ||
    { cat "$folder/log" >&2; exit 1; }
echo "$folder"
cat > /dev/null || true
"$1/pg_ctl" --pgdata="$folder/data" --mode=immediate stop > /dev/null || true
"#;

pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    databases: AtomicU32,
    runs: Child,
    input: Option<ChildStdin>,
}

impl Server {
    /// Starts one. PostgreSQL refuses to run as root: then it runs as the user that Debian's package brings.
    pub fn start(disk: Disk) -> Self {
        let programs = programs();
        let fast = "-c fsync=off -c full_page_writes=off";
        let options = format!(
            "-c log_line_prefix='%m_[%d]_' -c max_connections=400 -c shared_buffers=64MB {}",
            if disk == Disk::Fast { fast } else { "" }
        );
        let mut command = as_its_user("sh");
        command.args(["-c", RUN, "sh"]).arg(&programs).arg(options).current_dir("/");
        let mut runs = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh is there");
        let input = runs.stdin.take().expect("it has an input");
        let mut told = String::new();
        BufReader::new(runs.stdout.as_mut().expect("it has an output")).read_line(&mut told).expect("it says where it is");
        if told.is_empty() {
            let mut why = String::new();
            let _ = runs.stderr.as_mut().expect("it has an error output").read_to_string(&mut why);
            panic!("PostgreSQL does not start: {why}");
        }
        Self { folder: PathBuf::from(told.trim()), programs, databases: AtomicU32::new(0), runs, input: Some(input) }
    }

    /// A new, empty database: its DSN.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.ask("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.dsn(&name)
    }

    pub fn dsn(&self, name: &str) -> String {
        format!("postgres://millrace@localhost/{name}?host={}", self.folder.display())
    }

    /// What `sql` answers in a database, a row a line.
    pub fn ask(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--username=millrace", "--host"]);
        let asked = psql.arg(&self.folder).args(["--dbname", database, "--command", sql]).output().expect("psql is there");
        assert!(asked.status.success(), "{sql}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }

    /// Ends the server without any farewell, as a kill does, and starts it again.
    pub fn restart(&self) {
        self.control(&["--mode=immediate", "--wait", "--timeout=120", "restart"]);
    }

    pub fn stop(&self) {
        self.control(&["--mode=immediate", "--wait", "stop"]);
    }

    pub fn start_again(&self) {
        // With the options that it had.
        self.control(&["--wait", "--timeout=120", "restart"]);
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).expect("its log can be read")
    }

    fn control(&self, args: &[&str]) {
        let mut command = as_its_user(&self.programs.join("pg_ctl").to_string_lossy());
        command.arg("--pgdata").arg(self.folder.join("data")).arg("--log").arg(self.folder.join("log")).args(args).current_dir("/");
        // Who inherits an output that is read keeps it open: the server does.
        let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("pg_ctl is there");
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(done.success(), "pg_ctl {args:?}: {log}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.runs.wait();
    }
}

/// A command as the user that may run the server.
fn as_its_user(program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]).env("HOME", "/").env_remove("TMPDIR");
    command
}

/// Where Debian has the server's programs, those of the newest version that is there.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let has_server = |bin: &PathBuf| bin.join("initdb").exists() && bin.join("postgres").exists();
    let version = |bin: &Path| bin.parent().and_then(|folder| folder.file_name()?.to_str()?.parse::<u32>().ok());
    versions.filter(has_server).max_by_key(|bin| version(bin)).expect("the tests need PostgreSQL: apt-get install postgresql")
}
