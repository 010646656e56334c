//! Files and folders that a command makes for its user, who gives them on: with the rights that the user's own tools give to theirs, where a
//! process otherwise keeps what it writes to itself.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::commands::usual_rights;
use crate::durable;

/// Rights of a file, of one that is a program, and of a folder, before the user's umask.
const FILE: u32 = 0o666;
const PROGRAM: u32 = 0o777;
const FOLDER: u32 = 0o777;

/// Writes a file, whole or not at all.
///
/// # Errors
/// What the system says.
pub(super) fn file(path: &Path, content: &[u8]) -> io::Result<()> {
    written(path, content, FILE, durable::Sync::No)
}

/// The same for a file that can be run.
///
/// # Errors
/// What the system says.
pub(super) fn program(path: &Path, content: &[u8]) -> io::Result<()> {
    written(path, content, PROGRAM, durable::Sync::No)
}

/// Makes a folder, and those that it is in, where they are not there.
///
/// # Errors
/// What the system says.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    let new: Vec<&Path> = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    new.into_iter().rev().try_for_each(new_folder)
}

/// Makes a folder that is not there, in one that is.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AlreadyExists`] if it is there.
pub(super) fn new_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(usual_rights(FOLDER)))
}

/// As [`file`], and it survives a power cut.
///
/// # Errors
/// What the system says.
pub(super) fn durable_file(path: &Path, content: &[u8]) -> io::Result<()> {
    written(path, content, FILE, durable::Sync::Yes)
}

fn written(path: &Path, content: &[u8], rights: u32, sync: durable::Sync) -> io::Result<()> {
    durable::write(path, &[content], sync)?;
    fs::set_permissions(path, Permissions::from_mode(usual_rights(rights)))
}
