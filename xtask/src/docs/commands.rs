//! The commands that pages tell a person to type: whether they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use super::pages::{self, Page};
use crate::command::succeeds;

/// Asks the program for help about each of its commands that a page names.
pub fn check(host: &Path) -> anyhow::Result<()> {
    let pages = pages::all()?;
    let commands: BTreeMap<Vec<String>, &Path> =
        pages.iter().flat_map(|page| of_the_program(page).into_iter().map(|command| (command, page.path.as_path()))).collect();
    ensure!(commands.len() > 10, "the pages name no more than {commands:?}");
    for (command, page) in commands {
        let is_there = succeeds(Command::new(host).args(&command).arg("--help"));
        ensure!(is_there, "{} names `millrace {}`, and there is no such command", page.display(), command.join(" "));
    }
    Ok(())
}

/// Command and subcommand after each name of the program.
fn of_the_program(page: &Page) -> BTreeSet<Vec<String>> {
    let is_command = |word: &&str| !word.is_empty() && word.chars().all(|character| character.is_ascii_lowercase());
    let words = |after: &str| after.split(' ').take_while(is_command).map(str::to_owned).collect::<Vec<_>>();
    let after_name = |code: &String| code.split("millrace ").skip(1).map(str::to_owned).collect::<Vec<_>>();
    page.code().iter().flat_map(after_name).map(|after| words(&after)).filter(|command| !command.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows `cargo xtask`, up to a comment or another command.
    fn of_xtask(page: &Page) -> Vec<String> {
        let after = |code: &String| code.split("cargo xtask ").skip(1).map(str::to_owned).collect::<Vec<_>>();
        let end = |command: String| command.split(['#', ';', '&', '|', '>', '`']).next().unwrap_or_default().trim().to_owned();
        page.code().iter().flat_map(after).map(end).filter(|command| !command.is_empty()).collect()
    }

    #[test]
    fn commands_end_where_their_arguments_begin() {
        let text = "run `millrace dlq redrive order.paid`, then\n```bash\nmillrace republish --since 2days\n```\nand `millrace top`; `millrace` is a program, and millrace is a word";
        let page = Page { path: "x.md".into(), text: text.to_owned() };
        let expected: [&[&str]; 3] = [&["dlq", "redrive"], &["republish"], &["top"]];
        assert_eq!(of_the_program(&page).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_task_that_a_page_names_is_there() {
        let mut tasks = 0;
        for page in pages::all().expect("the pages") {
            for command in of_xtask(&page) {
                let problem = crate::understand(command.split_whitespace()).err();
                assert!(problem.is_none(), "{}: `cargo xtask {command}`: {}", page.path.display(), problem.unwrap_or_default());
                tasks += 1;
            }
        }
        assert!(tasks > 20, "{tasks}");
    }
}
