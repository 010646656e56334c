//! The runbooks: whether the commands that they tell a person to type are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::command::succeeds;
use crate::workspace;

/// Where they are.
const FOLDER: &str = "docs/runbooks";

/// Asks the program for help about each of its commands that a runbook names.
pub fn check(host: &Path) -> anyhow::Result<()> {
    let folder = workspace::root().join(FOLDER);
    let mut commands = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        commands.extend(commands_in(&fs::read_to_string(entry?.path())?));
    }
    ensure!(commands.len() > 3, "the runbooks name no more than {commands:?}");
    for command in commands {
        ensure!(succeeds(Command::new(host).args(&command).arg("--help")), "a runbook names `millrace {}`", command.join(" "));
    }
    Ok(())
}

/// Command and subcommand after each name of the program.
fn commands_in(text: &str) -> BTreeSet<Vec<String>> {
    let is_command = |word: &&str| !word.is_empty() && word.chars().all(|character| character.is_ascii_lowercase());
    let mentions = text.split("millrace ").skip(1).filter_map(|after| after.split(['\n', '`', ',', ';', ')']).next());
    let words = |mention: &str| mention.split(' ').take_while(is_command).map(str::to_owned).collect::<Vec<_>>();
    mentions.map(words).filter(|command| !command.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_where_their_arguments_begin() {
        let text =
            "run `millrace dlq redrive order.paid`, then\nmillrace republish --since 2days\nand `millrace top`; `millrace` is a program";
        let expected: [&[&str]; 3] = [&["dlq", "redrive"], &["republish"], &["top"]];
        assert_eq!(commands_in(text).into_iter().collect::<Vec<_>>(), expected);
    }
}
