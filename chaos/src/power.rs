//! What a disk has after a power cut. A kill leaves to the system what the system has not written yet; here that is lost, by halves or altogether.
//!
//! The program runs with a library before it (`chaos/power/power.c`) that notes what each call changes in its folder and what was there before.
//! Once the program is dead, what no `fsync` has followed is put back, left out or torn as a seed decides:
//!
//! - of a file each sector of 512 bytes has what it had when the file was synced last, or anything that was written there since;
//! - a new size counts or does not; what was never written of a file that has grown is zero;
//! - a name that was made, changed or taken away since its folder was synced is so or is not, and none is without those before it.
//!
//! What is mapped into memory, which of SQLite's files the `-shm` is, has nothing that has to last: it is gone. Folders are there.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// What a disk writes as a whole or not at all.
const SECTOR: u64 = 512;
/// Numbers in the head of a note.
const HEAD: usize = 7;
/// How long a sync may take, in microseconds: a disk that answers at once would hardly ever be caught at it.
const SYNC_MICROS: &str = "3000";

/// Makes the library as the file `library`.
pub fn build(repository: &Path, library: &Path) -> anyhow::Result<()> {
    let source = repository.join("chaos/power/power.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-o"]);
    let made = compiler.arg(library).arg(&source).arg("-lpthread").output().context("cc could not be started")?;
    ensure!(made.status.success(), "{} cannot be compiled: {}", source.display(), String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// The power of one process: what it has changed in its folder since the last cut.
#[derive(Debug, Clone)]
pub struct Power {
    /// The library.
    pub library: PathBuf,
    /// The folder whose files are on the disk; no other one is.
    pub root: PathBuf,
    /// The notes. Those of all processes since the last cut are in one file, for they have had the same disk.
    pub notes: PathBuf,
}

/// What was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Cuts.
    pub cuts: u64,
    /// Changes of files that were not synced.
    pub unsynced: u64,
    /// Those of them that the disk does not have.
    pub left_out: u64,
    /// Those of them that it has a part of.
    pub torn: u64,
    /// Names that are what they were before.
    pub names: u64,
}

impl Lost {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.unsynced += other.unsynced;
        self.left_out += other.left_out;
        self.torn += other.torn;
        self.names += other.names;
    }
}

/// How much of what was not synced the disk has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// What was synced and nothing else.
    Nothing,
    /// Of each file what was written first; the last of it may be torn.
    First,
    /// Any sector, each with this chance.
    Any(f64),
    /// All of it, as after a kill.
    Everything,
}

impl Fate {
    fn of(random: &mut StdRng) -> Self {
        match random.random_range(0..20) {
            0..5 => Self::Nothing,
            5..11 => Self::First,
            11..18 => Self::Any(random.random_range(0.05..0.95)),
            _ => Self::Everything,
        }
    }
}

/// A change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Written { offset: u64, length: u64, size: u64, before: Vec<u8> },
    Sized { to: u64, size: u64, cut: Vec<u8> },
}

/// What has become of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Naming {
    Made(PathBuf),
    Changed { from: PathBuf, to: PathBuf, replaced: bool },
    Gone(PathBuf),
}

impl Naming {
    fn folder(&self) -> &Path {
        let (Self::Made(path) | Self::Changed { to: path, .. } | Self::Gone(path)) = self;
        path.parent().unwrap_or(path)
    }
}

/// All notes since the last cut; each change with its place among them.
#[derive(Debug, Default)]
struct Notes {
    changes: HashMap<u64, Vec<(u64, Change)>>,
    names: Vec<(u64, Naming)>,
    /// By inode: what comes before this place is on the disk.
    synced: HashMap<u64, u64>,
    folders: HashMap<PathBuf, u64>,
}

impl Notes {
    fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut notes = Self::default();
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + HEAD * 8) {
            let mut numbers = [0_u64; HEAD];
            for (number, text) in numbers.iter_mut().zip(head.chunks_exact(8)) {
                *number = u64::from_ne_bytes(text.try_into()?);
            }
            let [kind, first, second, third, fourth, one, other] = numbers;
            let from = at + HEAD * 8;
            let (one, other) = (usize::try_from(one)?, usize::try_from(other)?);
            // The process was killed while it wrote this one, and so before it has done what it speaks of.
            let Some(text) = bytes.get(from..from + one + other) else { break };
            let (one, other) = text.split_at(one);
            notes.take(u8::try_from(kind)?, at as u64, [first, second, third, fourth], (one, other))?;
            at = from + text.len();
        }
        Ok(notes)
    }

    fn take(&mut self, kind: u8, at: u64, [first, second, third, fourth]: [u64; 4], (one, other): (&[u8], &[u8])) -> anyhow::Result<()> {
        let path = |text: &[u8]| PathBuf::from(String::from_utf8_lossy(text).into_owned());
        match kind {
            b'W' => {
                let change = Change::Written { offset: second, length: third, size: fourth, before: one.to_vec() };
                self.changes.entry(first).or_default().push((at, change));
            }
            b'T' => self.changes.entry(first).or_default().push((at, Change::Sized { to: second, size: third, cut: one.to_vec() })),
            b'S' => {
                let until = self.synced.entry(first).or_default();
                *until = second.max(*until);
            }
            b'D' => {
                let until = self.folders.entry(path(one)).or_default();
                *until = first.max(*until);
            }
            b'C' => self.names.push((at, Naming::Made(path(one)))),
            b'U' => self.names.push((at, Naming::Gone(path(one)))),
            b'R' => self.names.push((at, Naming::Changed { from: path(one), to: path(other), replaced: first != 0 })),
            other => bail!("a note of the kind {other}"),
        }
        Ok(())
    }

    /// The files that were changed, by their first change: which inode the system gives to which of them is not the same in the next run.
    fn in_sequence(&self) -> Vec<u64> {
        let mut first: Vec<(u64, u64)> = self.changes.iter().filter_map(|(inode, changes)| Some((changes.first()?.0, *inode))).collect();
        first.sort_unstable();
        first.into_iter().map(|(_, inode)| inode).collect()
    }

    /// Changes of a file that are not on the disk for sure.
    fn unsynced(&self, inode: u64) -> Vec<&Change> {
        let until = self.synced.get(&inode).copied().unwrap_or(0);
        self.changes.get(&inode).into_iter().flatten().filter(|(at, _)| *at >= until).map(|(_, change)| change).collect()
    }

    /// The same of names.
    fn unsynced_names(&self) -> Vec<&(u64, Naming)> {
        let is_synced = |at: u64, naming: &Naming| self.folders.get(naming.folder()).is_some_and(|until| at < *until);
        self.names.iter().filter(|(at, naming)| !is_synced(*at, naming)).collect()
    }
}

impl Power {
    /// What a process is told that runs on this disk.
    pub fn variables(&self) -> [(&'static str, PathBuf); 3] {
        [("POWER_ROOT", self.root.clone()), ("POWER_LOG", self.notes.clone()), ("POWER_SYNC_MICROS", SYNC_MICROS.into())]
    }

    /// Cuts it. No process may be there that writes; the files are what the disk has when this returns.
    pub fn cut(&self, choice: u64) -> anyhow::Result<Lost> {
        let mut random = StdRng::seed_from_u64(choice);
        let fate = Fate::of(&mut random);
        self.cut_as(fate, &mut random)
    }

    fn cut_as(&self, fate: Fate, random: &mut StdRng) -> anyhow::Result<Lost> {
        let notes = match fs::read(&self.notes) {
            Ok(bytes) => Notes::read(&bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Notes::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.notes.display())),
        };
        let mut lost = Lost { cuts: 1, ..Lost::default() };
        let mut files = HashMap::new();
        // A file that has lost its last name may be given it back.
        for folder in [&self.root, &self.kept()] {
            find(folder, &mut files)?;
        }
        for inode in notes.in_sequence() {
            let (changes, Some(path)) = (notes.unsynced(inode), files.get(&inode)) else { continue };
            if !changes.is_empty() {
                let is = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                let left = after_cut(is, &changes, fate, random, &mut lost);
                fs::write(path, left).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        self.take_names_back(&notes.unsynced_names(), fate, random, &mut lost)?;
        let mut mapped = files.values().filter(|path| path.to_string_lossy().ends_with("-shm"));
        mapped.try_for_each(|path| gone(path))?;
        gone(&self.notes)?;
        match fs::remove_dir_all(self.kept()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(lost),
        }
    }

    fn take_names_back(&self, names: &[&(u64, Naming)], fate: Fate, random: &mut StdRng, lost: &mut Lost) -> anyhow::Result<()> {
        let count = match fate {
            Fate::Nothing => 0,
            Fate::Everything => names.len(),
            Fate::First | Fate::Any(_) => random.random_range(0..=names.len()),
        };
        for (at, naming) in names.iter().skip(count).rev() {
            lost.names += 1;
            let kept = self.kept().join(at.to_string());
            match naming {
                Naming::Made(path) => gone(path)?,
                Naming::Gone(path) => link(&kept, path)?,
                Naming::Changed { from, to, replaced } => {
                    if to.exists() {
                        fs::rename(to, from)?;
                    }
                    if *replaced {
                        link(&kept, to)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn kept(&self) -> PathBuf {
        let mut name = self.notes.as_os_str().to_owned();
        name.push(".kept");
        name.into()
    }
}

/// All plain files below a folder by their inodes.
fn find(folder: &Path, files: &mut HashMap<u64, PathBuf>) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            find(&path, files)?;
        } else if metadata.is_file() {
            files.entry(metadata.ino()).or_insert(path);
        }
    }
    Ok(())
}

fn gone(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        _ => Ok(()),
    }
}

/// Gives a file that was kept its name back, if it was kept and the name is free.
fn link(kept: &Path, path: &Path) -> anyhow::Result<()> {
    match fs::hard_link(kept, path) {
        Err(error) if ![ErrorKind::NotFound, ErrorKind::AlreadyExists].contains(&error.kind()) => {
            Err(error).with_context(|| format!("cannot put {} back", path.display()))
        }
        _ => Ok(()),
    }
}

/// What a file is on the disk that is this now and was changed so since it was synced.
fn after_cut(is: Vec<u8>, changes: &[&Change], fate: Fate, random: &mut StdRng, lost: &mut Lost) -> Vec<u8> {
    lost.unsynced += changes.len() as u64;
    if fate == Fate::Everything {
        return is;
    }
    let mut content = is;
    // Backwards: what each has written is what is there once those after it are undone.
    let mut written: Vec<Vec<u8>> = changes.iter().rev().map(|change| undo(&mut content, change)).collect();
    written.reverse();
    let whole = match fate {
        Fate::First => random.random_range(0..=changes.len()),
        _ => 0,
    };
    for (place, (change, bytes)) in changes.iter().zip(&written).enumerate() {
        let chance = match fate {
            Fate::First if place < whole => 1.0,
            // Some of its sectors, in any sequence.
            Fate::First if place == whole => 0.5,
            Fate::Any(chance) => chance,
            _ => 0.0,
        };
        let parts = redo(&mut content, change, bytes, |random| random.random_bool(chance), random);
        lost.left_out += u64::from(parts.is == 0);
        lost.torn += u64::from(parts.is > 0 && parts.is < parts.of);
    }
    content
}

/// Of how many parts of a change the disk has how many.
struct Parts {
    is: u64,
    of: u64,
}

/// Makes the content what it was before the change, and answers what that had written.
fn undo(content: &mut Vec<u8>, change: &Change) -> Vec<u8> {
    match change {
        Change::Written { offset, length, size, before } => {
            let bytes = content.get(index(*offset)..content.len().min(index(offset + length))).unwrap_or_default().to_vec();
            put(content, *offset, before);
            content.resize(index(*size), 0);
            bytes
        }
        Change::Sized { to, size, cut } => {
            content.resize(index(*size), 0);
            put(content, *to, cut);
            Vec::new()
        }
    }
}

/// Does the parts of a change again that `has` says the disk has.
fn redo(content: &mut Vec<u8>, change: &Change, bytes: &[u8], has: impl Fn(&mut StdRng) -> bool, random: &mut StdRng) -> Parts {
    let mut parts = Parts { is: 0, of: 0 };
    match change {
        Change::Written { offset, .. } => {
            let end = offset + bytes.len() as u64;
            let mut from = *offset;
            while from < end {
                let to = (from / SECTOR + 1).saturating_mul(SECTOR).min(end);
                parts.of += 1;
                if has(random) {
                    parts.is += 1;
                    put(content, from, &bytes[index(from - offset)..index(to - offset)]);
                }
                from = to;
            }
        }
        Change::Sized { to, .. } => {
            parts.of = 1;
            if has(random) {
                parts.is = 1;
                content.resize(index(*to), 0);
            }
        }
    }
    parts
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (index(offset), index(offset) + bytes.len());
    if !bytes.is_empty() && content.len() < to {
        content.resize(to, 0);
    }
    if let Some(there) = content.get_mut(from..to) {
        there.copy_from_slice(bytes);
    }
}

/// A place within a file that was read as a whole.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder on a disk of its own, gone when the test ends.
    struct Disk {
        home: PathBuf,
        power: Power,
    }

    impl Disk {
        fn new(name: &str) -> Self {
            let home = std::env::temp_dir().join(format!("millrace-power-{}-{name}", std::process::id()));
            let (root, library) = (home.join("root"), home.join("power.so"));
            fs::create_dir_all(&root).expect("a folder");
            build(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository"), &library).expect("a library");
            Self { power: Power { library, root, notes: home.join("notes") }, home }
        }

        /// Has a shell do it within the folder whose path is `$R`.
        fn does(&self, what: &str) {
            let mut shell = Command::new("sh");
            shell.args(["-ec", what]).env("LD_PRELOAD", &self.power.library).env("R", &self.power.root);
            let done = shell.envs(self.power.variables()).output().expect("a shell");
            assert!(done.status.success(), "{what}: {}", String::from_utf8_lossy(&done.stderr));
        }

        fn cut(&self, fate: Fate) -> Lost {
            self.power.cut_as(fate, &mut StdRng::seed_from_u64(1)).expect("a cut")
        }

        /// Names and contents, in the sequence of the names.
        fn has(&self) -> Vec<(String, String)> {
            let entries = fs::read_dir(&self.power.root).expect("the folder").map(|entry| entry.expect("an entry"));
            let file = |entry: fs::DirEntry| (entry.file_name().into_string().expect("a name"), fs::read_to_string(entry.path()));
            let mut files: Vec<_> = entries.map(file).map(|(name, text)| (name, text.expect("a text"))).collect();
            files.sort();
            files
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.home);
        }
    }

    fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_was_synced_stays_and_nothing_else_has_to() {
        let disk = Disk::new("synced");
        let work = r#"printf one > "$R/a"; sync "$R/a" "$R"; printf two >> "$R/a"; printf three > "$R/b"; mv "$R/a" "$R/c""#;
        disk.does(work);
        let lost = disk.cut(Fate::Nothing);
        assert_eq!(disk.has(), files(&[("a", "one")]));
        assert_eq!(lost, Lost { cuts: 1, unsynced: 2, left_out: 2, torn: 0, names: 2 });
        disk.does(work);
        assert_eq!(disk.cut(Fate::Everything).unsynced, 2);
        assert_eq!(disk.has(), files(&[("b", "three"), ("c", "onetwo")]));
    }

    #[test]
    fn a_file_without_its_folder_has_no_name_and_a_name_without_its_file_no_content() {
        let disk = Disk::new("halves");
        disk.does(r#"printf one > "$R/a"; sync "$R/a""#);
        disk.cut(Fate::Nothing);
        assert_eq!(disk.has(), files(&[]));
        disk.does(r#"printf one > "$R/a"; sync "$R""#);
        disk.cut(Fate::Nothing);
        assert_eq!(disk.has(), files(&[("a", "")]));
    }

    #[test]
    fn what_was_removed_or_replaced_comes_back() {
        let disk = Disk::new("back");
        disk.does(r#"printf one > "$R/a"; printf two > "$R/b"; printf three > "$R/c"; sync "$R/a" "$R/b" "$R/c" "$R"; rm "$R/c"; mv "$R/b" "$R/a""#);
        disk.cut(Fate::Nothing);
        assert_eq!(disk.has(), files(&[("a", "one"), ("b", "two"), ("c", "three")]));
        disk.does(r#": > "$R/a""#);
        disk.cut(Fate::Nothing);
        assert_eq!(disk.has(), files(&[("a", "one"), ("b", "two"), ("c", "three")]));
    }

    #[test]
    fn a_sector_is_what_it_was_or_what_was_written_and_some_are_torn() {
        let old = vec![1; 4 * 512];
        let is: Vec<u8> = (0..6 * 512).map(|at| if at < 256 { 1 } else { 2 }).collect();
        let change = Change::Written { offset: 256, length: 6 * 512 - 256, size: 4 * 512, before: vec![1; 4 * 512 - 256] };
        let (mut torn, mut lost) = (0, Lost::default());
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let fate = if seed % 2 == 0 { Fate::First } else { Fate::Any(0.5) };
            let left = after_cut(is.clone(), &[&change], fate, &mut random, &mut lost);
            assert!(left.len() >= old.len() && left.len() <= is.len());
            for (sector, bytes) in left.chunks(512).enumerate() {
                let start = if sector == 0 { 256 } else { 0 };
                assert!(bytes[..start].iter().all(|byte| *byte == 1), "nothing was written there");
                let rest = &bytes[start..];
                assert!(rest.iter().all(|byte| *byte == rest[0]), "half of a sector");
                // What a file has grown by and nobody has written is zero.
                assert!(if sector < 4 { rest[0] == 1 || rest[0] == 2 } else { rest[0] == 0 || rest[0] == 2 });
            }
            torn += u64::from(left != old && left != is);
        }
        assert_eq!((torn, lost.unsynced), (lost.torn, 200));
        assert!(torn > 20, "{lost:?}");
    }

    #[test]
    fn the_same_choice_leaves_the_same() {
        let left = |name: &str| {
            let disk = Disk::new(name);
            disk.does(r#"for n in 1 2 3 4 5 6 7 8; do head -c 3000 /dev/zero | tr '\0' $n >> "$R/a"; printf $n > "$R/$n"; done"#);
            disk.power.cut(7).expect("a cut");
            disk.has()
        };
        assert_eq!(left("first"), left("second"));
    }
}
