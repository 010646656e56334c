//! `millrace dev`, as somebody meets it who saves, breaks and mends a step.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::fixtures::{marked, tiny};

/// For a machine that is busy with everything else.
const PATIENCE: Duration = Duration::from_secs(120);
const CONFIG: &str = "modules:\n  - name: worker\n    type: dynamic.component\n    config:\n      source: ./steps/worker.wasm\n";

/// A config with a component, and the folder that it is built in: the build takes what is in `source`.
struct Shop {
    folder: TempDir,
    step: PathBuf,
    config: PathBuf,
}

impl Shop {
    /// The folder is of that name in a path that takes quoting, and is built by this script.
    fn new(build: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("größer, mit Leer'zeichen ").tempdir().expect("a folder");
        let (step, config) = (folder.path().join("worker"), folder.path().join("shop.yaml"));
        fs::create_dir(&step).expect("a folder");
        fs::write(&config, CONFIG).expect("a config");
        let shop = Self { folder, step, config };
        shop.builds_by(build);
        shop.save(&tiny("i32.const 96"));
        shop
    }

    fn builds_by(&self, script: &str) {
        let draft = self.folder.path().join("draft");
        fs::write(&draft, format!("#!/bin/sh\nset -e\n{script}\n")).expect("a build");
        // By another process: what this one has open for writing, it may hand on to one that it starts meanwhile, and then it cannot be started.
        let installed = Command::new("install").args(["-m", "755"]).args([&draft, &self.step.join("build.sh")]).status();
        assert!(installed.expect("it starts").success());
    }

    fn save(&self, source: &[u8]) {
        fs::write(self.step.join("source"), source).expect("a source");
    }

    /// In its place for hosts.
    fn placed(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("steps/worker.wasm")).expect("it is in place")
    }

    /// A pipe that builds wait at, each for a line.
    fn gate(&self) -> File {
        let gate = self.folder.path().join("gate");
        assert!(Command::new("mkfifo").arg(&gate).status().expect("it starts").success());
        // For both, so that nobody waits for the other side.
        File::options().read(true).write(true).open(gate).expect("it is there")
    }

    fn develop(&self, more: &[&str]) -> Developing {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.env_remove("MILLRACE_CACHE").arg("dev").arg(&self.step).arg("--config").arg(&self.config).args(more);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (told, lines) = channel();
        pass(child.stdout.take(), told.clone());
        pass(child.stderr.take(), told);
        Developing { child, lines, heard: Vec::new() }
    }
}

/// What is told, line by line.
fn pass(pipe: Option<impl Read + Send + 'static>, told: Sender<String>) {
    let lines = BufReader::new(pipe.expect("it is a pipe")).lines();
    // Nobody may listen any more.
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
}

/// Another version of the same step.
fn version(number: u8) -> Vec<u8> {
    marked(&tiny("i32.const 96"), &number.to_string())
}

struct Developing {
    child: Child,
    lines: Receiver<String>,
    /// What it has said so far, and nobody has waited for.
    heard: Vec<String>,
}

impl Developing {
    /// Waits until it says this. What a build says comes by another pipe, so it may be heard sooner or later than what is said of it.
    fn says(&mut self, what: &str) {
        loop {
            if let Some(at) = self.heard.iter().position(|line| line.contains(what)) {
                self.heard.remove(at);
                return;
            }
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it does not say '{what}': {:#?}", self.heard));
            self.heard.push(line);
        }
    }

    /// Whether it ends well, after what it says until then.
    fn ends(mut self) -> (bool, String) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.heard.push(line);
        }
        (self.child.wait().expect("it has ended").success(), self.heard.join("\n"))
    }
}

impl Drop for Developing {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const COPIES: &str = "cp source worker.wasm";
const IN_PLACE: &str = "is in place after";

#[test]
fn what_does_not_build_is_told_and_what_was_in_place_stays_until_it_builds_again() {
    let shop = Shop::new("grep -q asm source || { echo 'source:1: what is this' >&2; exit 1; }; cp source worker.wasm");
    let mut developing = shop.develop(&[]);
    developing.says(IN_PLACE);
    shop.save(b"def process(:");
    developing.says("source:1: what is this");
    developing.says("build.sh failed (exit status: 1)");
    assert_eq!(shop.placed(), tiny("i32.const 96"));
    shop.save(&version(2));
    developing.says(IN_PLACE);
    assert_eq!(shop.placed(), version(2));
}

#[test]
fn what_is_saved_during_a_build_is_built_next() {
    // The second one is new.
    for file in ["source", "added"] {
        let shop = Shop::new("cp source worker.wasm; [ ! -f added ] || cp added worker.wasm; echo built; read line < ../gate");
        let mut gate = shop.gate();
        let mut developing = shop.develop(&[]);
        developing.says("built");
        fs::write(shop.step.join(file), version(2)).expect("a source");
        gate.write_all(b"\n").expect("it has room");
        developing.says(IN_PLACE);
        developing.says("built");
        gate.write_all(b"\n").expect("it has room");
        developing.says(IN_PLACE);
        assert_eq!(shop.placed(), version(2), "{file}");
    }
}

#[test]
fn what_a_build_leaves_beside_the_source_is_no_reason_for_another_one() {
    let makes = "made=made-$(wc -l < ../builds); mkdir $made; cp source $made/Cargo.lock";
    let shop = Shop::new(&format!("echo once >> ../builds; cp source worker.wasm; {makes}"));
    let mut developing = shop.develop(&[]);
    developing.says(IN_PLACE);
    for number in 2..5 {
        shop.save(&version(number));
        developing.says(IN_PLACE);
        assert_eq!(shop.placed(), version(number));
    }
    assert_eq!(fs::read_to_string(shop.folder.path().join("builds")).expect("it was built"), "once\n".repeat(4));
}

#[test]
fn a_second_one_is_kept_out_of_the_folder() {
    let shop = Shop::new(COPIES);
    let mut first = shop.develop(&[]);
    first.says(IN_PLACE);
    for more in [&[][..], &["--once"]] {
        let (well, told) = shop.develop(more).ends();
        assert!(!well && told.contains("another `millrace dev` is at work in '"), "{told}");
    }
    shop.save(&version(2));
    first.says(IN_PLACE);
    drop(first);
    let (well, told) = shop.develop(&["--once"]).ends();
    assert!(well, "{told}");
}

#[test]
fn a_build_that_outlives_the_one_who_began_it_is_waited_for() {
    let shop = Shop::new("mkdir busy; cp source worker.wasm; echo built; read line < ../gate; rmdir busy");
    let mut gate = shop.gate();
    let mut killed = shop.develop(&[]);
    killed.says("built");
    killed.child.kill().expect("it runs");
    killed.child.wait().expect("it was killed");
    shop.save(&version(2));
    let mut next = shop.develop(&["--once"]);
    next.says("an earlier build in '");
    gate.write_all(b"\n").expect("it has room");
    next.says("built");
    gate.write_all(b"\n").expect("it has room");
    let (well, told) = next.ends();
    assert!(well && told.contains(IN_PLACE), "{told}");
    assert_eq!(shop.placed(), version(2));
}

#[test]
fn a_config_that_is_mended_is_taken_without_another_change_of_the_source() {
    let shop = Shop::new(COPIES);
    let mut developing = shop.develop(&[]);
    developing.says(IN_PLACE);
    fs::write(&shop.config, CONFIG.replace("type: dynamic", "typ: dynamic")).expect("a config");
    developing.says("the config is wrong by now");
    fs::write(&shop.config, CONFIG).expect("a config");
    developing.says(IN_PLACE);
}

#[test]
fn a_config_that_names_another_file_has_it_put_there() {
    let shop = Shop::new(COPIES);
    let mut developing = shop.develop(&[]);
    developing.says(IN_PLACE);
    fs::write(&shop.config, CONFIG.replace("./steps/", "./moved/")).expect("a config");
    developing.says("moved/worker.wasm is in place after");
    assert_eq!(fs::read(shop.folder.path().join("moved/worker.wasm")).expect("it is in place"), tiny("i32.const 96"));
}

#[test]
fn a_build_that_makes_a_file_of_another_name_is_told_which_one_is_wanted() {
    let shop = Shop::new("cp source fraud.wasm");
    let (well, told) = shop.develop(&["--once"]).ends();
    assert!(!well && told.contains("build.sh has ended well and made no '") && told.contains("/worker.wasm'"), "{told}");
}

#[test]
fn a_job_that_is_none_does_not_hide_that_the_step_is_in_place() {
    let shop = Shop::new(COPIES);
    fs::write(shop.step.join("job.json"), "{data: 1}").expect("a job");
    let (well, told) = shop.develop(&["--once"]).ends();
    assert!(!well && told.contains(IN_PLACE) && told.contains("job.json' is no job"), "{told}");
}

/// A path of folders in there, so long that hardly any file has room behind it.
fn deep(folder: &Path, bytes: usize) -> PathBuf {
    let mut path = folder.to_owned();
    while path.as_os_str().len() + 1 < bytes {
        path.push("d".repeat((bytes - path.as_os_str().len() - 1).min(200)));
    }
    path
}

#[test]
fn a_new_folder_that_cannot_be_filled_is_not_left_behind() {
    const MOST: usize = 4096;
    let folder = tempfile::tempdir().expect("a folder");
    let parent = deep(folder.path(), MOST - "/fraud-check/go.mod".len());
    fs::create_dir_all(&parent).expect("folders");
    let output = Command::new(env!("CARGO_BIN_EXE_millrace")).args(["new", "fraud-check", "--lang", "go", "--in"]).arg(&parent).output();
    let output = output.expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("cannot "), "{output:?}");
    assert_eq!(fs::read_dir(&parent).expect("it is there").count(), 0, "whoever tries again is not told that it is there already");
}

#[test]
fn what_is_told_to_be_typed_next_can_be_typed() {
    let folder = tempfile::Builder::new().prefix("größer, mit Leer'zeichen ").tempdir().expect("a folder");
    let output =
        Command::new(env!("CARGO_BIN_EXE_millrace")).args(["new", "fraud-check", "--lang", "go", "--in"]).arg(folder.path()).output();
    let told = String::from_utf8(output.expect("it starts").stdout).expect("text");
    let enter = told.lines().find(|line| line.trim().starts_with("cd ")).expect("it says where to go");
    let entered = Command::new("sh").args(["-c", &format!("{enter} && ls")]).output().expect("it starts");
    assert!(String::from_utf8_lossy(&entered.stdout).contains("build.sh"), "{enter}: {entered:?}");
}
