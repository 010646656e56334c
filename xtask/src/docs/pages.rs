//! The pages that people read, and the code in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::workspace;

/// Pages beside those of the book.
const OTHERS: [&str; 7] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "components/README.md", "web/README.md"];
/// The book.
const BOOK: &str = "docs";

/// A page.
pub struct Page {
    /// From the repository's folder.
    pub path: PathBuf,
    /// What is written there.
    pub text: String,
}

/// All pages, those of the book first.
pub fn all() -> anyhow::Result<Vec<Page>> {
    let mut paths = Vec::new();
    markdown_in(Path::new(BOOK), &mut paths)?;
    paths.sort();
    paths.extend(OTHERS.map(PathBuf::from));
    paths.into_iter().map(page).collect()
}

/// The page at a path from the repository's folder.
pub fn page(path: PathBuf) -> anyhow::Result<Page> {
    let text = fs::read_to_string(workspace::root().join(&path)).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Page { path, text })
}

fn markdown_in(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(workspace::root().join(folder)).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            markdown_in(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    Ok(())
}

impl Page {
    /// The blocks of a language, such as `bash`, whole.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let opening = format!("```{language}");
        let mut blocks: Vec<String> = Vec::new();
        let mut inside = false;
        for line in self.text.lines() {
            match (inside, line.trim_end()) {
                (true, "```") => inside = false,
                (true, _) => {
                    if let Some(block) = blocks.last_mut() {
                        block.push_str(line);
                        block.push('\n');
                    }
                }
                (false, fence) if fence == opening => {
                    inside = true;
                    blocks.push(String::new());
                }
                (false, _) => {}
            }
        }
        blocks
    }

    /// Every piece of code: the lines of shell blocks, those that go on in the next one joined, and what stands between backticks.
    pub fn code(&self) -> Vec<String> {
        let mut code: Vec<String> = self
            .blocks("bash")
            .iter()
            .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        code.extend(self.prose().split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")));
        code
    }

    /// Everything but blocks of code.
    fn prose(&self) -> String {
        let mut inside = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        prose
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Where the links and pictures of a page lead, but for those that leave the repository.
    fn links(page: &Page) -> Vec<String> {
        let prose = page.prose();
        let written = prose.split("](").skip(1).filter_map(|after| after.split(')').next());
        let pictures = prose.split("src=\"").skip(1).filter_map(|after| after.split('"').next());
        written.chain(pictures).filter(|link| !link.contains("://") && !link.starts_with("mailto:")).map(str::to_owned).collect()
    }

    /// A heading as the address of its section.
    fn anchor(heading: &str) -> String {
        let kept = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
        heading.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    }

    fn leads_somewhere(page: &Page, link: &str) -> bool {
        let (file, section) = link.split_once('#').unwrap_or((link, ""));
        let folder = page.path.parent().unwrap_or(Path::new(""));
        let target = if file.is_empty() { page.path.clone() } else { folder.join(file) };
        let place = workspace::root().join(&target);
        if section.is_empty() {
            return place.exists();
        }
        fs::read_to_string(place).is_ok_and(|text| text.lines().any(|line| line.starts_with('#') && anchor(line) == section))
    }

    #[test]
    fn every_link_leads_somewhere() {
        let pages = all().expect("the pages");
        let broken: Vec<String> = pages
            .iter()
            .flat_map(|page| {
                links(page).into_iter().filter(|link| !leads_somewhere(page, link)).map(|link| format!("{}: {link}", page.path.display()))
            })
            .collect();
        assert_eq!(broken, Vec::<String>::new());
        assert!(pages.iter().map(|page| links(page).len()).sum::<usize>() > 100);
    }

    #[test]
    fn the_summary_names_every_page_once() {
        let summary = page("docs/SUMMARY.md".into()).expect("the summary");
        let named = links(&summary);
        let pages = all().expect("the pages").into_iter().filter_map(|page| Some(page.path.strip_prefix(BOOK).ok()?.display().to_string()));
        let expected: BTreeSet<String> = pages.filter(|page| page != "SUMMARY.md").collect();
        assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), expected);
        assert_eq!(named.len(), expected.len(), "{named:?}");
    }

    /// The names in `${NAME}` and `${NAME:-default}`, comments aside.
    fn variables(config: &str) -> BTreeSet<String> {
        let code = config.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
        let is_name = |character: &char| character.is_ascii_uppercase() || *character == '_';
        code.split("${").skip(1).map(|after| after.chars().take_while(is_name).collect()).collect()
    }

    #[test]
    fn the_settings_name_every_variable_that_the_configs_read() {
        let settings = page("docs/settings.md".into()).expect("the settings");
        let named = settings.code();
        let mut read = BTreeSet::new();
        for folder in ["configs", "configs/examples"] {
            for entry in fs::read_dir(workspace::root().join(folder)).expect("the configs") {
                let path = entry.expect("a config").path();
                if path.extension().is_some_and(|extension| extension == "yaml") {
                    read.extend(variables(&fs::read_to_string(path).expect("a config")));
                }
            }
        }
        let missing: Vec<&String> = read.iter().filter(|name| !named.contains(name)).collect();
        assert!(missing.is_empty(), "docs/settings.md does not name {missing:?}");
        assert!(read.len() > 15, "{read:?}");
    }

    #[test]
    fn the_readme_has_the_command_that_ci_runs() {
        let ci = fs::read_to_string(workspace::root().join(".ci/run")).expect("what CI runs");
        let command = ci.lines().find_map(|line| line.strip_prefix("exec ")).expect("one command");
        let readme = page("README.md".into()).expect("the README");
        assert!(readme.blocks("bash").iter().any(|block| block.lines().any(|line| line.starts_with(command))), "{command}");
        let workflow = fs::read_to_string(workspace::root().join(".github/workflows/ci.yml")).expect("the workflow");
        assert!(workflow.contains(&format!("run: {command}")), "{command}");
    }

    #[test]
    fn code_is_what_stands_in_shell_blocks_and_between_backticks() {
        let text = "Run `a b`, then\n```bash\nc \\\n  d   # why\n```\n\n```yaml\ne: f\n```\nand `g\nh`.".to_owned();
        let page = Page { path: "x.md".into(), text };
        assert_eq!(page.code(), ["c    d   # why", "a b", "g h"]);
    }
}
