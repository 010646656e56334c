//! The calls that the simulated machine answers are found by name by who asks for them while the program runs, so they have to be in its table.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for call in ["clock_gettime", "epoll_wait", "getrandom"] {
        println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={call}");
    }
}
