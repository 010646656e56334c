//! What the program says of itself.

use std::process::Command;

fn said(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_names_the_commit_and_the_version_of_wasmtime() {
    let version = said(&["--version"]);
    let rest = version.strip_prefix(concat!("millrace ", env!("CARGO_PKG_VERSION"), " (commit ")).unwrap_or_else(|| panic!("{version}"));
    assert!(rest.contains(", wasmtime ") && rest.ends_with(")\n"), "{version}");
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell]);
        for command in ["validate", "republish", "backup", "redrive"] {
            assert!(script.contains(command), "{shell} knows no {command}");
        }
    }
}
