//! The `millrace` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match (args.next(), args.next()) {
        (Some(command), Some(cache_dir)) if command == "compile" => {
            millrace::runtime::compile_main(cache_dir.as_ref(), &mut std::io::stdin(), &mut std::io::stderr())
        }
        _ => ExitCode::FAILURE,
    }
}
