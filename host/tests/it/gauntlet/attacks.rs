//! What hostile components try, each with what it gets. `docs/sandbox.md` has them as a table.

use std::fmt::Write as _;

use crate::handmade::{component, exporting, of_version, tiny, tiny_from, tiny_with, with_memory, with_part, with_realloc};

/// Something that a component tries.
pub struct Attack {
    pub what: &'static str,
    pub by: Means,
    pub end: End,
}

/// How it is tried.
pub enum Means {
    /// A file with this in it is put in the component's place.
    File(Vec<u8>),
    /// A link that leads there is put in its place.
    Link(&'static str),
    /// The component is given so many jobs at once that ask for it; see `components/testing/hostile`.
    Jobs(&'static str, usize),
}

/// What it gets.
pub enum End {
    /// The file is refused with a reason that has this in it; the version before serves on.
    Refused(&'static str),
    /// The attempt fails, and so does the next one, with an error that has one of these in it, separated by `|`.
    Fails(&'static str),
    /// It is an answer that a component may give. Text of it is shown without what could deceive a reader.
    Rejects(&'static str),
    /// It is taken for a good answer, and what was tried has had no effect. The results are these; any without.
    NoEffect(Option<&'static str>),
}

/// Attacks of one kind, for components of one kind: those of a kind are tried one after the other, those of several at once.
pub struct Kind {
    pub name: &'static str,
    pub attacks: Vec<Attack>,
}

fn files(end: fn(&'static str) -> End, cases: Vec<(&'static str, Vec<u8>, &'static str)>) -> Vec<Attack> {
    cases.into_iter().map(|(what, file, says)| Attack { what, by: Means::File(file), end: end(says) }).collect()
}

/// What WebAssembly forbids.
pub fn traps() -> Kind {
    let more = "(table $table 2 funcref) (elem (i32.const 0) $f) (func $f (param f64)) (func $deeper (call $deeper)) (data $text \"text\")";
    let step = |body| tiny_with(more, body);
    let cases = vec![
        ("An instruction that must not be reached", step("unreachable"), "unreachable"),
        ("A division by zero", step("i32.const 1 i32.const 0 i32.div_s"), "divide by zero"),
        ("A remainder by zero", step("i32.const 1 i32.const 0 i32.rem_u"), "divide by zero"),
        ("A division that overflows", step("i32.const 0x80000000 i32.const -1 i32.div_s"), "overflow"),
        ("A number made of NaN", step("f32.const nan i32.trunc_f32_s"), "invalid conversion"),
        ("A number made of infinity", step("f64.const inf i32.trunc_f64_u"), "overflow"),
        ("Reading beyond its memory", step("i32.const -1 i32.load"), "out of bounds memory access"),
        ("Writing beyond its memory", step("(i64.store (i32.const 65530) (i64.const 1)) unreachable"), "out of bounds memory access"),
        ("Copying beyond its memory", step("(memory.copy (i32.const 0) (i32.const 65530) (i32.const 100)) unreachable"), "out of bounds"),
        ("Filling beyond its memory", step("(memory.fill (i32.const 65530) (i32.const 1) (i32.const -1)) unreachable"), "out of bounds"),
        ("Reading beyond its data", step("(memory.init $text (i32.const 0) (i32.const 2) (i32.const 9)) unreachable"), "out of bounds"),
        ("A look beyond its table", step("(drop (table.get $table (i32.const 7))) unreachable"), "out of bounds"),
        ("A call beyond its table", step("i32.const 9 call_indirect $table (result i32)"), "out of bounds"),
        ("A call of nothing", step("i32.const 1 call_indirect $table (result i32)"), "uninitialized"),
        ("A call of a function of another type", step("i32.const 0 call_indirect $table (result i32)"), "type mismatch"),
        ("Recursion without an end", step("(call $deeper) unreachable"), "call stack exhausted"),
    ];
    Kind { name: "Traps", attacks: files(End::Fails, cases) }
}

/// Answers that are none.
pub fn lies() -> Kind {
    let text_at = |at: &str, size: &str| {
        tiny(&format!("(i32.store (i32.const 104) (i32.const {at})) (i32.store (i32.const 108) (i32.const {size})) (i32.const 96)"))
    };
    let cases = vec![
        ("An answer beyond its memory", tiny("i32.const 65532"), "out of bounds"),
        ("An answer that is not aligned", tiny("i32.const 97"), "aligned"),
        ("A text that ends beyond its memory", text_at("65000", "65000"), "out of bounds"),
        ("A text of 4 GiB", text_at("80", "-1"), "out of bounds|handed over too much"),
        ("A text that is not UTF-8", tiny("(i32.store8 (i32.const 80) (i32.const 0xff)) (i32.const 96)"), "utf-8"),
        ("Half a character", tiny("(i32.store16 (i32.const 80) (i32.const 0xa0ed)) (i32.const 96)"), "utf-8"),
        ("A result that does not exist", tiny("(i32.store8 (i32.const 96) (i32.const 7)) (i32.const 96)"), "discriminant"),
        ("An outcome that does not exist", tiny("(i32.store8 (i32.const 100) (i32.const 9)) (i32.const 96)"), "discriminant"),
        (
            "A list in place of an object",
            tiny("(i32.store16 (i32.const 80) (i32.const 0x5d5b)) (i32.const 96)"),
            "results that are not a JSON object",
        ),
        (
            "Text that is no JSON",
            tiny("(i32.store16 (i32.const 80) (i32.const 0x7d7d)) (i32.const 96)"),
            "results that are not a JSON object",
        ),
        ("Memory for the host that is not aligned", with_realloc("(drop (local.get $at)) (i32.const 4097)"), "realloc return"),
        ("Memory for the host beyond its own", with_realloc("(drop (local.get $at)) (i32.const -16)"), "realloc return"),
    ];
    Kind { name: "Answers that are none", attacks: files(End::Fails, cases) }
}

/// More memory than there is for a run.
pub fn memory() -> Kind {
    let grows = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let grows_table = "(loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable";
    let mut attacks = files(
        End::Fails,
        vec![
            ("Memory, page by page", tiny(grows), "beyond its limit of 67108864 bytes"),
            ("A table that grows", tiny_with("(table $t 1 funcref)", grows_table), "unreachable|beyond its limit of 67108864 bytes"),
        ],
    );
    let refused = vec![
        (
            "1.3 GB of memory at the start",
            with_memory("(memory (export \"memory\") 20000)"),
            "wanted 1310720000 bytes of memory beyond its limit of 67108864 bytes",
        ),
        ("A table of 100 million at the start", tiny_with("(table 100000000 funcref)", "i32.const 96"), "table"),
        ("Ten memories", with_part(&format!("(component {})", memories(10))), "memories"),
    ];
    attacks.extend(files(End::Refused, refused));
    Kind { name: "Memory", attacks }
}

/// Core instances with a memory each.
fn memories(count: usize) -> String {
    format!("(core module $m (memory 1)) {}", "(core instance (instantiate $m))".repeat(count))
}

/// A processor for itself.
pub fn time() -> Kind {
    let fills = "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 33554432)) (br $again)) unreachable";
    let large = |core: String| core.replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 600)");
    let ends = "computed for more than 300ms|did not answer within 1s";
    let cases = vec![
        ("A loop without an end", tiny("(loop $l (br $l)) unreachable"), ends),
        ("Filling 32 MiB again and again", tiny_from(large, fills), ends),
        ("An allocator that spins", with_realloc("(loop $l (br $l)) unreachable"), ends),
    ];
    Kind { name: "Time", attacks: files(End::Fails, cases) }
}

/// What keeps a whole language busy.
pub fn time_asked() -> Kind {
    let ends = "computed for more than 300ms|did not answer within 1s";
    let attacks = vec![
        Attack { what: "A program that spins", by: Means::Jobs("spin", 1), end: End::Fails(ends) },
        Attack { what: "Sleeping past the deadline", by: Means::Jobs("sleep", 1), end: End::Fails("did not answer within 1s") },
        Attack { what: "Eight that spin at once", by: Means::Jobs("spin", 8), end: End::Fails(ends) },
    ];
    Kind { name: "Time", attacks }
}

/// What is no step of this host.
pub fn no_steps() -> Kind {
    let whole = tiny("i32.const 96");
    let importing = |interface: &str| component(&format!("(component (import \"{interface}\" (instance)))"));
    let trap = |core: String| core.replace("(i32.const 16))", "unreachable)");
    let no_schema = |core: String| core.replace("{}\")", "no\")");
    let cases = vec![
        ("An empty file", Vec::new(), "was probably not written completely"),
        ("Half a file", whole[..whole.len() / 2].to_vec(), "was probably not written completely"),
        ("A text", b"hello, this is a text".to_vec(), "is a text file"),
        ("WebAssembly as text", b"(component)".to_vec(), "wasm-tools parse"),
        ("Garbage", vec![0xfe; 4_096], "is not WebAssembly"),
        ("Compiled code, or a program", [b"\x7fELF".as_slice(), &[0; 4_096]].concat(), "build it for the target wasm32-wasip2"),
        ("A core module", component("(module)"), "core WebAssembly module"),
        ("No exports", component("(component)"), "does not export `describe` and `process`"),
        ("Half of the exports", exporting(&["describe"]), "does not export `process`"),
        ("Exports of other types", exporting(&["describe", "process"]), "does not fit the world `step`"),
        ("An old version of the contract", of_version("0.0.9"), "was built for millrace:step@0.0.9"),
        ("A version of the contract to come", of_version("0.3.0"), "was built for millrace:step@0.3.0"),
        ("A version of WASI to come", importing("wasi:cli/environment@0.3.0"), "this host offers WASI 0.2"),
        ("A network that is not granted", importing("wasi:http/outgoing-handler@0.2.3"), "name the services it may call there"),
        ("Values that are not granted", importing("wasi:config/store@0.2.0-rc.1"), "list the values it may read there"),
        ("An interface that nobody offers", importing("acme:secrets/read@1.0.0"), "which this host does not offer"),
        ("A description that traps", tiny_from(trap, "i32.const 96"), "`describe` trapped"),
        ("A schema that is no JSON", tiny_from(no_schema, "i32.const 96"), "`describe` answered with a config schema"),
        (
            "A start that spins",
            tiny_with("(func $spin (loop $l (br $l))) (start $spin)", "i32.const 96"),
            "`describe` computed for more than 2s|`describe` did not answer within 5s",
        ),
    ];
    let mut attacks = files(End::Refused, cases);
    let links = [
        ("A link to endless zeros", "/dev/zero", "not a plain file"),
        ("A link to a folder", "/", "not a plain file"),
        ("A link to nothing", "nowhere.wasm", "nothing is there"),
    ];
    attacks.extend(links.map(|(what, to, says)| Attack { what, by: Means::Link(to), end: End::Refused(says) }));
    Kind { name: "Files", attacks }
}

/// What would keep a compiler busy, or has it do what it must not.
pub fn bombs() -> Kind {
    let inside = |module: &str| with_part(&format!("(component (core module {module}))"));
    let nested = format!("{}{}", "(component ".repeat(20), ")".repeat(20));
    let mut types = String::new();
    for level in 1..100 {
        let _ = write!(types, "(type $t{level} (tuple $t{0} $t{0}))", level - 1);
    }
    let mut names = String::new();
    for name in 0..300 {
        let _ = write!(names, "(import \"f{name}\" (func))");
    }
    let doubling = format!("(component (component (type $t0 (tuple string string)) {types} (import \"f\" (func (param \"a\" $t99)))))");
    let body = format!("(func {})", "(drop (i32.const 1000000))".repeat(300_000));
    let cases = vec![
        ("60,001 functions", tiny_with(&"(func)".repeat(60_001), "i32.const 96"), "at most 60000 are compiled"),
        ("A function of two megabytes", tiny_with(&body, "i32.const 96"), "a function of"),
        ("200 memories in a module", inside(&"(memory 1)".repeat(200)), "cannot be compiled"),
        ("300 imports", component(&format!("(component {names})")), "at most 256"),
        ("200 modules", with_part(&format!("(component {})", "(core module)".repeat(200))), "more than 128 modules"),
        ("Components in components, 20 deep", with_part(&format!("(component {nested})")), "more than 8 deep"),
        ("Types that double a hundred times", with_part(&doubling), "type size"),
        ("Memory of 64 bits", inside("(memory i64 1)"), "memory64 must be enabled"),
        ("Memory that is shared", inside("(memory 1 2 shared)"), "threads must be enabled"),
        ("Objects that are collected", inside("(type (struct (field i32)))"), "cannot be compiled"),
        ("Exceptions", inside("(tag)"), "exceptions"),
        ("Tail calls", inside("(func $f (return_call $f))"), "tail calls"),
        ("An asynchronous build", with_part("(component (core func (canon task.return (result u32))))"), "the option `--sync`"),
    ];
    Kind { name: "Compiling", attacks: files(End::Refused, cases) }
}

/// What a program may be asked for that has a language and its library around it.
pub fn programs() -> Kind {
    let fails = [
        ("Recursion in a program", "recurse", "call stack exhausted"),
        ("A heap that grows", "grow", "beyond its limit of 67108864 bytes"),
        ("A panic", "panic", "panicked at"),
        ("`abort()`", "abort", "unreachable"),
        ("`exit(0)`", "exit", "exit(0) instead of answering"),
        ("Calling the host without end", "call flood", "called the host more than 10000 times"),
        ("Random numbers without end", "random flood", "called the host more than 10000 times"),
        ("20,000 log lines", "log flood", "called the host more than 10000 times"),
        ("Handles that are never closed", "handle leak", "resource table has no free keys"),
        ("An answer of 32 MiB", "huge result", "at most 262144"),
        ("An answer of 300 KiB", "large result", "at most 262144"),
        ("An answer of 200,000 empty texts", "200000 strings", "at most 262144"),
        ("An answer that is HTML", "not json", "results that are not a JSON object"),
        ("JSON of 10,000 levels", "deep json", "results that are not a JSON object"),
        ("A rejection with a code that is none", "bad code", "a code has 1 to 64 visible ASCII characters"),
    ];
    let nothing = r#"{"args":0,"env":0,"files":0,"folders":0,"preopens":0,"sockets":0,"stdin":"","written":false}"#;
    let no_effect = [
        ("Looking for files, variables, arguments, sockets", "probe", Some(nothing)),
        ("800 KB of output", "stdout flood", None),
        ("A log line with 2,000 lines in it", "log once", None),
        ("An answer with an id, an owner and a state of its own", "config", None),
    ];
    let fails = fails.map(|(what, mode, says)| Attack { what, by: Means::Jobs(mode, 1), end: End::Fails(says) });
    let no_effect = no_effect.map(|(what, mode, results)| Attack { what, by: Means::Jobs(mode, 1), end: End::NoEffect(results) });
    let rejects = Attack {
        what: "A reason with control characters",
        by: Means::Jobs("reject", 1),
        end: End::Rejects("the card has no money\u{fffd}[31m"),
    };
    Kind { name: "Programs", attacks: fails.into_iter().chain(no_effect).chain([rejects]).collect() }
}

/// All kinds, as the page has them.
pub fn all() -> Vec<Kind> {
    vec![traps(), lies(), memory(), time(), time_asked(), programs(), no_steps(), bombs()]
}

impl End {
    /// As a page says it.
    fn told(&self) -> String {
        let quoted = |says: &str| says.split('|').map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(" or ");
        match self {
            Self::Refused(says) => format!("the file is refused: {}", quoted(says)),
            Self::Fails(says) => format!("the attempt fails: {}", quoted(says)),
            Self::Rejects(says) => format!("is taken as an answer, shown as {}", quoted(says)),
            Self::NoEffect(None) => "is taken as an answer, without effect".to_owned(),
            Self::NoEffect(Some(results)) => format!("is taken as an answer, which is `{results}`"),
        }
    }
}

/// The rows of the table on the page.
pub fn rows() -> Vec<String> {
    let rows =
        |kind: Kind| kind.attacks.into_iter().map(move |attack| format!("| {} | {} | {} |", kind.name, attack.what, attack.end.told()));
    all().into_iter().flat_map(rows).collect()
}
