//! Looks at a file before any of it is compiled: is it a component, is it of a size that can be compiled, and does it fit
//! the world `millrace:step/step` and what the operator grants? Every answer says what to change.
//!
//! Only sizes and names are read here. Types are checked by the linker, once the component is compiled.

use wasmparser::{CanonicalFunction, CanonicalOption, ComponentTypeRef, Parser, Payload, TypeBounds};
use wasmtime::Engine;

use super::Capabilities;

/// Bytes of a file. A Python component has 18 MB.
pub(super) const MAX_BYTES: u64 = 64 << 20;
/// Functions of all modules in a file: compiling time and memory grow with them, however small they are.
const MAX_FUNCTIONS: u32 = 60_000;
/// Bytes of one function: compiling takes more than linear time.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Modules and components inside a file.
const MAX_PARTS: u32 = 128;
/// How deep they may be in each other.
const MAX_NESTED: u32 = 8;
/// Imports and exports of the component itself.
const MAX_NAMES: usize = 256;

/// The package that this host offers, and its versions, as in `wit/step.wit` and `wit/0.2/step.wit`.
const PACKAGE: &str = "millrace:step";
const VERSIONS: &str = "0.1.0 and 0.2.0";
const VERSIONS_OR: &str = "0.1.0 or 0.2.0";

/// The version of the contract that a component was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// 0.1, see `wit/step.wit`.
    First,
    /// 0.2, see `wit/0.2/step.wit`.
    Second,
}

impl Contract {
    /// Its version, for example `0.1.0`.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::First => "0.1.0",
            Self::Second => "0.2.0",
        }
    }

    /// Where it is written.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::First => "wit/step.wit",
            Self::Second => "wit/0.2/step.wit",
        }
    }

    /// That of an interface of the package, of whatever patch version.
    fn of(version: &str) -> Option<Self> {
        [Self::First, Self::Second].into_iter().find(|own| version.rsplit_once('.').map(|(start, _)| start) == own.version().get(..3))
    }

    /// Interfaces of the package that a component may import.
    fn imports(self) -> &'static [&'static str] {
        match self {
            Self::First => &["log", "types"],
            Self::Second => &["log", "types", "about", "config", "kv", "events", "secrets"],
        }
    }
}

/// Interfaces of WASI 0.2 that are always there, and are empty or refuse every call: a program's standard library needs them to start.
const ALWAYS: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What a component asks for and offers, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Names of its imports, for example `millrace:step/log@0.1.0`.
    pub imports: Vec<String>,
    /// Names of its exports, for example `process`.
    pub exports: Vec<String>,
    /// Linear memories of all modules in it, made by themselves.
    pub memories: u32,
}

impl Outline {
    /// Whether the effect of a run can be found out and undone, of whatever patch version of the package the interface is.
    pub fn is_reversible(&self) -> bool {
        let versions = self.exports.iter().filter_map(|name| name.strip_prefix("millrace:step/settlement@"));
        versions.filter_map(Contract::of).any(|contract| contract == self.contract())
    }

    /// What the component was built for: the later one, if parts of it were built for both.
    pub fn contract(&self) -> Contract {
        let own = self.imports.iter().chain(&self.exports).filter(|name| name.starts_with("millrace:step/"));
        let mut versions = own.filter_map(|name| Contract::of(name.split_once('@')?.1));
        versions.find(|contract| *contract == Contract::Second).unwrap_or(Contract::First)
    }
}

/// Why a file cannot be a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// A clause that goes on after the file's name.
    pub reason: String,
    /// It looks like the start of one: the rest may still come.
    pub incomplete: bool,
}

impl From<String> for Flaw {
    fn from(reason: String) -> Self {
        Self { reason, incomplete: false }
    }
}

impl Flaw {
    fn incomplete(reason: String) -> Self {
        Self { reason, incomplete: true }
    }
}

/// Reads the outline of a file.
///
/// # Errors
/// What the file is instead of a component, or which cap it is over.
pub(super) fn outline(bytes: &[u8]) -> Result<Outline, Flaw> {
    if let Some(flaw) = kind_of(bytes) {
        return Err(flaw);
    }
    let mut walk = Walk::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| unreadable(&error, bytes.len()))?;
        walk.visit(payload).map_err(|problem| match problem {
            Problem::Unreadable(error) => unreadable(&error, bytes.len()),
            Problem::TooMuch(reason) => reason.into(),
        })?;
    }
    Ok(walk.outline)
}

/// Why this cannot be a component, going by its first bytes.
fn kind_of(bytes: &[u8]) -> Option<Flaw> {
    let how = "build it for the target wasm32-wasip2, for example with `cargo build --release --target wasm32-wasip2`";
    let size = bytes.len();
    if size as u64 > MAX_BYTES {
        return Some(format!("has {size} bytes, and at most {MAX_BYTES} are read").into());
    }
    if Parser::is_component(bytes) {
        return None;
    }
    if size == 0 || (size < 8 && b"\0asm\x0d\0\x01\0".starts_with(bytes)) {
        return Some(Flaw::incomplete(format!("has {size} bytes: it was probably not written completely")));
    }
    let reason = if Parser::is_core_wasm(bytes) {
        format!("is a core WebAssembly module, not a component: {how}, or wrap it with `millrace componentize`")
    } else if Engine::detect_precompiled(bytes).is_some() {
        "is compiled code, which is never taken from outside: give the component (.wasm) it was compiled from".into()
    } else if bytes.starts_with(b"\0asm") {
        format!("is WebAssembly of a version that is neither a module nor a component: {how}")
    } else {
        match std::str::from_utf8(&bytes[..bytes.len().min(64)]) {
            Ok(text) if text.trim_start().starts_with('(') => "is WebAssembly as text: convert it with `wasm-tools parse`".into(),
            Ok(_) => format!("is a text file, not a component: {how}"),
            Err(_) => format!("is not WebAssembly: {how}"),
        }
    };
    Some(reason.into())
}

fn unreadable(error: &wasmparser::BinaryReaderError, size: usize) -> Flaw {
    if error.message().contains("unexpected end") || error.offset() >= size {
        return Flaw::incomplete(format!("ends in the middle of a section, after {size} bytes: it was probably not written completely"));
    }
    format!("is not a valid component: {} (at byte {})", error.message(), error.offset()).into()
}

enum Problem {
    Unreadable(wasmparser::BinaryReaderError),
    TooMuch(String),
}

impl From<wasmparser::BinaryReaderError> for Problem {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Unreadable(error)
    }
}

/// What was seen so far.
#[derive(Default)]
struct Walk {
    outline: Outline,
    depth: u32,
    parts: u32,
    functions: u32,
}

impl Walk {
    fn visit(&mut self, payload: Payload<'_>) -> Result<(), Problem> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.enter(),
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::FunctionSection(section) => self.functions(section.count()),
            Payload::MemorySection(section) => {
                self.outline.memories = self.outline.memories.saturating_add(section.count());
                Ok(())
            }
            Payload::ComponentCanonicalSection(section) => {
                section.into_iter().try_for_each(|function| check(!is_asynchronous(&function?), || ASYNCHRONOUS.to_owned()))
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                check(size <= MAX_BODY_BYTES, || format!("has a function of {size} bytes, and at most {MAX_BODY_BYTES} are compiled"))
            }
            Payload::ComponentImportSection(section) if self.depth == 0 => {
                for import in section {
                    let import = import?;
                    // The world's `use types.{job, ...}`: names for types, nothing that the host would give.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        self.outline.imports.push(import.name.name.to_owned());
                    }
                }
                self.names()
            }
            Payload::ComponentExportSection(section) if self.depth == 0 => {
                for export in section {
                    self.outline.exports.push(export?.name.name.to_owned());
                }
                self.names()
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        self.parts += 1;
        check(self.parts <= MAX_PARTS, || format!("has more than {MAX_PARTS} modules and components inside"))?;
        check(self.depth <= MAX_NESTED, || format!("has components in components, more than {MAX_NESTED} deep"))
    }

    fn functions(&mut self, count: u32) -> Result<(), Problem> {
        self.functions = self.functions.saturating_add(count);
        let functions = self.functions;
        check(functions <= MAX_FUNCTIONS, || format!("has {functions} functions, and at most {MAX_FUNCTIONS} are compiled"))
    }

    fn names(&self) -> Result<(), Problem> {
        let names = self.outline.imports.len() + self.outline.exports.len();
        check(names <= MAX_NAMES, || format!("has {names} imports and exports, and a step has at most {MAX_NAMES}"))
    }
}

/// Of a component that was built for WASI 0.3.
const ASYNCHRONOUS: &str = "has asynchronous functions of the component model (WASI 0.3), and this host runs steps without them (WASI 0.2): build it \
    without, for example with the option `--sync` of componentize-qjs, or without `async` in what makes the bindings";

/// Whether this is a function that only asynchronous components have.
fn is_asynchronous(function: &CanonicalFunction) -> bool {
    let options = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options,
        CanonicalFunction::TaskReturn { .. }
        | CanonicalFunction::TaskCancel
        | CanonicalFunction::SubtaskDrop
        | CanonicalFunction::WaitableSetNew
        | CanonicalFunction::BackpressureInc
        | CanonicalFunction::BackpressureDec => return true,
        _ => return false,
    };
    options.iter().any(|option| matches!(option, CanonicalOption::Async))
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem::TooMuch(otherwise())) }
}

/// Everything about the names that does not fit the world and the grants of module `module`; empty if all fits.
pub(super) fn misfits(outline: &Outline, module: &str, capabilities: &Capabilities) -> Vec<String> {
    let mut found: Vec<String> = outline.imports.iter().filter_map(|name| import_misfit(name, module, capabilities)).collect();
    // wasi:http is two interfaces, and the same is to be said of both.
    found.dedup();
    let missing: Vec<&str> = ["describe", "process"].into_iter().filter(|name| !outline.exports.iter().any(|e| e == name)).collect();
    if !missing.is_empty() {
        let exports = if outline.exports.is_empty() { "nothing".to_owned() } else { listed(&outline.exports) };
        let missing = missing.join("` and `");
        found.push(format!(
            "does not export `{missing}` (it exports {exports}): implement the world `step` of {PACKAGE}@{VERSIONS_OR}, see `millrace wit`"
        ));
    }
    found
}

fn import_misfit(name: &str, module: &str, capabilities: &Capabilities) -> Option<String> {
    let (interface, version) = name.split_once('@').map_or((name, None), |(interface, version)| (interface, Some(version)));
    if let Some(own) = interface.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) {
        return own_misfit(own, version, module, capabilities);
    }
    if interface.starts_with("wasi:config/") {
        return config_misfit(interface, version, module, capabilities);
    }
    if interface.starts_with("wasi:") && !version.is_some_and(|v| v.starts_with("0.2.")) {
        return Some(format!("imports {name}, but this host offers WASI 0.2: build it for wasm32-wasip2"));
    }
    match interface {
        "wasi:http/outgoing-handler" | "wasi:http/types" if capabilities.http.is_empty() => Some(format!(
            "imports wasi:http, but `capabilities.http` of module '{module}' grants nothing: name the services it may call there, \
             or build it without HTTP"
        )),
        "wasi:http/outgoing-handler" | "wasi:http/types" => None,
        known if ALWAYS.contains(&known) => None,
        _ => Some(format!(
            "imports {name}, which this host does not offer: it offers {PACKAGE}@{VERSIONS}, WASI 0.2 (cli, clocks, io, random; filesystem and sockets refuse every call), \
             and wasi:http and wasi:config where granted"
        )),
    }
}

fn own_misfit(interface: &str, version: Option<&str>, module: &str, capabilities: &Capabilities) -> Option<String> {
    let version = version.unwrap_or("without a version");
    let Some(contract) = Contract::of(version) else {
        return Some(format!(
            "was built for {PACKAGE}@{version}, and this host offers {PACKAGE}@{VERSIONS}: rebuild it with what `millrace wit` of this host prints"
        ));
    };
    if !contract.imports().contains(&interface) {
        let (own, file) = (contract.version(), contract.file());
        return Some(format!(
            "imports {PACKAGE}/{interface}@{version}, which {PACKAGE}@{own} of this host does not have: rebuild it with {file} of this host"
        ));
    }
    let (is_granted, how) = match interface {
        "kv" => (capabilities.kv.is_some(), "write `capabilities: {kv: {}}` to let it keep a state"),
        "events" => (!capabilities.events.is_empty(), "declare the events that it may publish there"),
        "secrets" => (!capabilities.secrets.is_empty(), "name the secrets that are filled into its requests there"),
        _ => (true, ""),
    };
    (!is_granted).then(|| {
        format!(
            "imports {PACKAGE}/{interface}, but `capabilities.{interface}` of module '{module}' grants nothing: {how}, or build it without"
        )
    })
}

fn config_misfit(interface: &str, version: Option<&str>, module: &str, capabilities: &Capabilities) -> Option<String> {
    if interface != "wasi:config/store" || version != Some("0.2.0-rc.1") {
        let version = version.unwrap_or("none");
        return Some(format!(
            "imports {interface} (version {version}), and this host offers wasi:config/store@0.2.0-rc.1: rebuild it with that"
        ));
    }
    capabilities.config.is_empty().then(|| {
        format!(
            "imports wasi:config/store, but `capabilities.config` of module '{module}' grants nothing: list the values it may read there"
        )
    })
}

fn listed(names: &[String]) -> String {
    let mut text = names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 8 {
        text.push_str(", ...");
    }
    text
}
